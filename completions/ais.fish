# fish completion of ais
function __ais_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    # An open quote is not closed yet.
    set -l plain (string unescape -- $token; or string replace -r '^["\']' '' -- $token)
    set -l replies ($before[1] __complete $before[2..-1] "$plain" 2>/dev/null)
    if test "$replies[1]" = :files
        __fish_complete_path $token
    else
        printf '%s\n' $replies
    end
end
complete -c ais -f -a '(__ais_complete)'
