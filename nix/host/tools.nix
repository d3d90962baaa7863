# The same tools from files of the host, as nix/host/import.sh has collected them in `root`: what nix/tools-nixpkgs.nix has from nixpkgs.
{ root }:
let
  system = "x86_64-linux";
  host =
    name:
    builtins.path {
      name = "host-${name}";
      path = root + "/${name}";
    };
  busybox = host "busybox";
  libc = host "libc";
  shell = "${busybox}/bin/sh";
  run =
    name: environment: script:
    derivation (
      environment
      // {
        inherit name system;
        builder = shell;
        args = [
          "-euc"
          script
        ];
        PATH = "${busybox}/bin";
      }
    );
in
rec {
  inherit system shell;
  path = [ busybox ];

  rust = import ./rust-patched.nix {
    inherit run libc;
    official = host "rust";
    patchelf = host "patchelf";
  };

  # Not a compiler: C code that enters the image's build by mistake ends it.
  cc = run "link-only-cc" { driver = ./link-only-cc.sh; } ''
    mkdir -p "$out/bin"
    sed -e 's|@shell@|${shell}|' -e 's|@lld@|${rust}/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld|' \
      -e 's|@libc@|${libc}|' "$driver" > "$out/bin/cc"
    chmod +x "$out/bin/cc"
  '';

  # The host CLI's cryptography has C and assembly code.
  compiler = [
    (import ./compiler.nix {
      inherit run shell libc;
      linker = cc;
      official = host "compiler";
      patchelf = host "patchelf";
    })
  ];

  vendor = import ./vendor.nix { inherit run; };
}
