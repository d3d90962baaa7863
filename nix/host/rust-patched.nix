# The official toolchain, made to run where there is no /lib64: interpreter and library path of its programs are set, nothing else. That what
# it compiles is the same is what the comparison with plain cargo shows.
{
  run,
  libc,
  official,
  patchelf,
}:
run "rust-patched" { } ''
  loader=${libc}/ld-linux-x86-64.so.2
  patch() { "$loader" --library-path ${libc} ${patchelf}/bin/patchelf "$@"; }

  mkdir -p "$out/lib/rustlib"
  cp -r ${official}/bin "$out/bin"
  cp ${official}/lib/*.so* "$out/lib"
  # Libraries to link with are the same files, not copies of them.
  for folder in ${official}/lib/rustlib/*; do
    ln -s "$folder" "$out/lib/rustlib"
  done
  host=$out/lib/rustlib/x86_64-unknown-linux-gnu
  rm "$host"
  mkdir "$host"
  ln -s ${official}/lib/rustlib/x86_64-unknown-linux-gnu/lib "$host"
  cp -r ${official}/lib/rustlib/x86_64-unknown-linux-gnu/bin "$host"
  chmod -R u+w "$out"

  for program in "$out"/bin/* "$host"/bin/rust-lld "$host"/bin/gcc-ld/ld.lld; do
    patch --set-interpreter "$loader" --set-rpath "$out/lib:${libc}" "$program"
  done
  for library in "$out"/lib/*.so*; do
    # One of the names is a linker script.
    case $(head -c 4 "$library") in *ELF) patch --set-rpath "$out/lib:${libc}" "$library" ;; esac
  done
''
