# All crates of a lock file in one folder, from nothing but the lock file: each crate's checksum there is the hash of a fixed output.
#
# The store path of such an output follows from its name and hash, however it gets there: nix/host/seed-crates.sh puts cargo's own downloads in.
# The name is the one that nixpkgs' importCargoLock gives it.
{ run }:
lockFile:
let
  packages = builtins.filter (package: package ? checksum) (builtins.fromTOML (builtins.readFile lockFile)).package;
  tarball =
    package:
    import <nix/fetchurl.nix> {
      name = "crate-${package.name}-${package.version}.tar.gz";
      url = "file:///crate-was-not-seeded/${package.name}-${package.version}";
      sha256 = package.checksum;
    };
in
run "crates" { crates = map (package: "${tarball package}=${package.name}-${package.version}=${package.checksum}") packages; } ''
  mkdir "$out"
  cd "$out"
  for crate in $crates; do
    IFS==
    set -- $crate
    unset IFS
    tar -xzf "$1"
    # Cargo asks for this file, and is content without the hash of each file.
    printf '{"files":{},"package":"%s"}' "$3" > "$2/.cargo-checksum.json"
  done
''
