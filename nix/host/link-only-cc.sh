#!@shell@
# Links programs of the host over rust-lld, as rustc asks of a C compiler; refuses everything that is not linking.
set -eu
libc=@libc@

kind=program
count=$#
while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    case $argument in
        -c | -S | -E | *.c | *.cc | *.cpp | *.S | *.s | *.asm)
            echo "link-only-cc: there is no C compiler here: $argument" >&2
            exit 1
            ;;
        -shared)
            kind=library
            set -- "$@" -shared
            ;;
        -pie) set -- "$@" -pie ;;
        # What the driver is told, and the linker need not know.
        -m64 | -nodefaultlibs | -no-pie | -fuse-ld=* | -B* | -g | -O*) ;;
        -Wl,*)
            words=${argument#-Wl,}
            while [ -n "$words" ]; do
                set -- "$@" "${words%%,*}"
                case $words in *,*) words=${words#*,} ;; *) words= ;; esac
            done
            ;;
        *) set -- "$@" "$argument" ;;
    esac
done

if [ "$kind" = library ]; then
    start="$libc/crti.o $libc/crtbeginS.o"
else
    start="$libc/Scrt1.o $libc/crti.o $libc/crtbeginS.o"
    set -- --dynamic-linker "$libc/ld-linux-x86-64.so.2" "$@"
fi
# shellcheck disable=SC2086
exec @lld@ -flavor gnu -m elf_x86_64 --eh-frame-hdr --rpath "$libc" $start "$@" -L "$libc" -lc -lgcc "$libc/crtendS.o" "$libc/crtn.o"
