"""Looking at what there is: ls, du, find, tree, diff, stat."""
