# bash completion of aisloader; generated
_aisloader() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  local dash=
  [[ $cur == "=" ]] && cur=""
  [[ $prev == "=" ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"
  case "$prev" in
    -endpoint|--endpoint) COMPREPLY=(); return ;;
    -ip|--ip) COMPREPLY=(); return ;;
    -port|--port) COMPREPLY=(); return ;;
    -timeout|--timeout) COMPREPLY=(); return ;;
    -tokenfile|--tokenfile) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -s3endpoint|--s3endpoint) COMPREPLY=(); return ;;
    -s3profile|--s3profile) COMPREPLY=(); return ;;
    -bucket|--bucket) COMPREPLY=(); return ;;
    -provider|--provider) COMPREPLY=($(compgen -W "ais aws azure gcp oci" -- "$cur")); return ;;
    -bprops|--bprops) COMPREPLY=(); return ;;
    -duration|--duration) COMPREPLY=(); return ;;
    -numworkers|--numworkers) COMPREPLY=(); return ;;
    -epochs|--epochs) COMPREPLY=(); return ;;
    -perm-shuffle-max|--perm-shuffle-max) COMPREPLY=(); return ;;
    -pctput|--pctput) COMPREPLY=(); return ;;
    -pctupdate|--pctupdate) COMPREPLY=(); return ;;
    -maxputs|--maxputs) COMPREPLY=(); return ;;
    -totalputsize|--totalputsize) COMPREPLY=(); return ;;
    -seed|--seed) COMPREPLY=(); return ;;
    -tmpdir|--tmpdir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    -readertype|--readertype) COMPREPLY=($(compgen -W "sg file rand" -- "$cur")); return ;;
    -name-getter|--name-getter) COMPREPLY=($(compgen -W "auto random unique unique-iter shuffle affine feistel" -- "$cur")); return ;;
    -resume|--resume) COMPREPLY=(); return ;;
    -rate|--rate) COMPREPLY=(); return ;;
    -arrival|--arrival) COMPREPLY=($(compgen -W "closed constant poisson" -- "$cur")); return ;;
    -max-backlog|--max-backlog) COMPREPLY=(); return ;;
    -warmup|--warmup) COMPREPLY=(); return ;;
    -processes|--processes) COMPREPLY=(); return ;;
    -epoch-batch|--epoch-batch) COMPREPLY=($(compgen -W "span short dedup" -- "$cur")); return ;;
    -minsize|--minsize) COMPREPLY=(); return ;;
    -maxsize|--maxsize) COMPREPLY=(); return ;;
    -size-dist|--size-dist) COMPREPLY=($(compgen -W "uniform log2 lognormal" -- "$cur")); return ;;
    -cksum-type|--cksum-type) COMPREPLY=($(compgen -W "none xxhash xxhash2 md5 crc32c sha256 sha512" -- "$cur")); return ;;
    -arch.pct|--arch.pct) COMPREPLY=(); return ;;
    -arch.format|--arch.format) COMPREPLY=(); return ;;
    -arch.prefix|--arch.prefix) COMPREPLY=(); return ;;
    -arch.num-files|--arch.num-files) COMPREPLY=(); return ;;
    -arch.minsize|--arch.minsize) COMPREPLY=(); return ;;
    -arch.maxsize|--arch.maxsize) COMPREPLY=(); return ;;
    -subdir|--subdir) COMPREPLY=(); return ;;
    -num-subdirs|--num-subdirs) COMPREPLY=(); return ;;
    -filelist|--filelist) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -name-template|--name-template) COMPREPLY=(); return ;;
    -name-count|--name-count) COMPREPLY=(); return ;;
    -readoff|--readoff) COMPREPLY=(); return ;;
    -readlen|--readlen) COMPREPLY=(); return ;;
    -readalign|--readalign) COMPREPLY=(); return ;;
    -get-batchsize|--get-batchsize) COMPREPLY=(); return ;;
    -get-batch-format|--get-batch-format) COMPREPLY=($(compgen -W "tar tar.gz tar.lz4 zip" -- "$cur")); return ;;
    -evict-batchsize|--evict-batchsize) COMPREPLY=(); return ;;
    -multipart-chunks|--multipart-chunks) COMPREPLY=(); return ;;
    -pctmultipart|--pctmultipart) COMPREPLY=(); return ;;
    -pctmpdstream|--pctmpdstream) COMPREPLY=(); return ;;
    -mpdstream-workers|--mpdstream-workers) COMPREPLY=(); return ;;
    -mpdstream-chunk-size|--mpdstream-chunk-size) COMPREPLY=(); return ;;
    -etl|--etl) COMPREPLY=(); return ;;
    -etl-spec|--etl-spec) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -loaderid|--loaderid) COMPREPLY=(); return ;;
    -loadernum|--loadernum) COMPREPLY=(); return ;;
    -loaderidhashlen|--loaderidhashlen) COMPREPLY=(); return ;;
    -start-at|--start-at) COMPREPLY=(); return ;;
    -statsinterval|--statsinterval) COMPREPLY=(); return ;;
    -stats-output|--stats-output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -statsdip|--statsdip) COMPREPLY=(); return ;;
    -statsdport|--statsdport) COMPREPLY=(); return ;;
    -result|--result) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -csv|--csv) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -max-errors|--max-errors) COMPREPLY=(); return ;;
    -retries|--retries) COMPREPLY=(); return ;;
  esac
  if [[ $cur == -* ]]; then [[ $cur == --* ]] && dash="-"
    COMPREPLY=($(compgen -P "$dash" -W "-endpoint -ip -port -timeout -tokenfile -randomproxy -s3endpoint -s3profile -s3-use-path-style -bucket -provider -bprops -duration -numworkers -epochs -perm-shuffle-max -pctput -pctupdate -maxputs -totalputsize -seed -tmpdir -readertype -name-getter -resume -shared-epochs -rate -arrival -max-backlog -warmup -processes -epoch-batch -minsize -maxsize -size-dist -cksum-type -verifyhash -arch.pct -arch.format -arch.prefix -arch.num-files -arch.minsize -arch.maxsize -arch.list -subdir -num-subdirs -randomname -filelist -name-template -name-count -skiplist -readoff -readlen -readrandom -readalign -get-batchsize -get-batch-format -cont-on-err -continue-on-err -latest -cached -list-dirs -evict-batchsize -nbi -multipart-chunks -pctmultipart -pctmpdstream -mpdstream-workers -mpdstream-chunk-size -etl -etl-spec -loaderid -loadernum -loaderidhashlen -getloaderid -start-at -statsinterval -stats-output -json -statsdip -statsdport -statsdprobe -statsd -result -csv -live -cleanup -stoppable -dry-run -trace-http -quiet -max-errors -retries -usage -help -h -version" -- "${cur#"$dash"}"))
  elif [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "run report compare merge calibrate usage completion version" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -F _aisloader aisloader
