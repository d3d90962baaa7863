#!/bin/sh
# Collects what a build needs of the host in the folder $1, for nix/host/tools.nix: a static busybox, the C library and what links with it,
# patchelf, the official Rust toolchain that rust-toolchain.toml names; and, for the host CLI alone, gcc. Run in the source tree.
set -eu
root=$1
rm -rf "$root"
mkdir -p "$root/busybox/bin" "$root/libc" "$root/patchelf/bin" "$root/rust/bin" "$root/rust/lib/rustlib"

# Hard links where they are possible: the toolchain is a gigabyte.
take() { cp -al "$@" 2>/dev/null || cp -a "$@"; }

cp "$(command -v busybox)" "$root/busybox/bin/busybox"
for applet in basename cat chmod cp cut dirname env find head ln ls mkdir mv nproc printf rm sed sh tar touch tr uname; do
    ln -s busybox "$root/busybox/bin/$applet"
done

cp "$(command -v patchelf)" "$root/patchelf/bin"

file() { readlink -f "$(cc "-print-file-name=$1")"; }
for object in Scrt1.o crti.o crtn.o crtbeginS.o crtendS.o libc_nonshared.a libgcc.a; do
    cp "$(file "$object")" "$root/libc/$object"
done
for library in ld-linux-x86-64.so.2 libc.so.6 libdl.so.2 libgcc_s.so.1 libm.so.6 libpthread.so.0 librt.so.1 libstdc++.so.6 libutil.so.1 libz.so.1; do
    cp "$(file "$library")" "$root/libc/$library"
done
for link in dl.so.2 m.so.6 pthread.so.0 rt.so.1 util.so.1; do
    ln -s "lib$link" "$root/libc/lib${link%.so.*}.so"
done
# The host's own linker scripts of these names hold absolute paths.
echo 'INPUT(libc.so.6 libc_nonshared.a AS_NEEDED(ld-linux-x86-64.so.2))' > "$root/libc/libc.so"
echo 'INPUT(libgcc_s.so.1 libgcc.a)' > "$root/libc/libgcc_s.so"

# A program's libraries, but for those of the C library.
libraries() { ldd "$@" | awk '$3 ~ "^/" && $1 !~ "^lib(c|m)\\." { print $3 }' | sort -u; }

compiler=$root/compiler
own=$(dirname "$(cc -print-prog-name=cc1)")
gcc=$compiler/lib/${own#*/lib/}
mkdir -p "$compiler/bin" "$compiler/include" "$gcc"
cp "$(readlink -f "$(command -v cc)")" "$compiler/bin/gcc"
for program in ar as; do
    cp "$(readlink -f "$(command -v "$program")")" "$compiler/bin/$program"
done
cp -r "$own/cc1" "$own/include" "$gcc"
libraries "$compiler"/bin/* "$gcc/cc1" | while read -r library; do
    cp -L "$library" "$compiler/lib"
done
# The folder for headers may hold others, too.
dpkg -L libc6-dev linux-libc-dev | sed -n 's|^/usr/include/||p' |
    tar -C /usr/include --no-recursion -cf - -T - | tar -C "$compiler/include" -xf -

rust=$(rustc --print sysroot)
take "$rust/bin/cargo" "$rust/bin/rustc" "$root/rust/bin"
for library in "$rust"/lib/*.so*; do
    take "$library" "$root/rust/lib"
done
for target in x86_64-unknown-linux-gnu x86_64-unknown-none x86_64-unknown-uefi x86_64-unknown-linux-musl; do
    take "$rust/lib/rustlib/$target" "$root/rust/lib/rustlib"
done
