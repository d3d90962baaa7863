# The host's gcc and what it compiles with, made to run where there is no /usr: interpreter and library path of its programs are set, nothing
# else. Nothing of the image is compiled by it.
{
  run,
  shell,
  libc,
  linker,
  official,
  patchelf,
}:
run "c-compiler" { driver = ./compile-or-link.sh; } ''
  loader=${libc}/ld-linux-x86-64.so.2
  mkdir "$out"
  cp -r ${official}/bin ${official}/lib "$out"
  chmod -R u+w "$out"
  own=$(echo "$out"/lib/gcc/*/*)
  for program in "$out"/bin/* "$own/cc1"; do
    "$loader" --library-path ${libc} ${patchelf}/bin/patchelf --set-interpreter "$loader" --set-rpath "$out/lib:${libc}" "$program"
  done
  for library in "$out"/lib/*.so*; do
    "$loader" --library-path ${libc} ${patchelf}/bin/patchelf --set-rpath "$out/lib:${libc}" "$library"
  done
  sed -e 's|@shell@|${shell}|' -e "s|@compiler@|$out|g" -e "s|@own@|$own|" -e 's|@include@|${official}/include|g' \
    -e 's|@linker@|${linker}|' "$driver" > "$out/bin/cc"
  chmod +x "$out/bin/cc"
''
