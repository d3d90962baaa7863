#!@shell@
# A C compiler for the host CLI: gcc compiles, over its own files in the store, and link-only-cc links.
set -eu
for argument in "$@"; do
    case $argument in
        -c | -S | -E | --version | -dump*)
            exec @compiler@/bin/gcc -B@compiler@/bin -nostdinc -isystem @own@/include -isystem @include@/x86_64-linux-gnu -isystem @include@ "$@"
            ;;
    esac
done
exec @linker@/bin/cc "$@"
