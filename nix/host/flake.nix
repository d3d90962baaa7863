# Stands in for both inputs of ../../flake.nix, so that the flake can be tried without the internet: what nix/tools-nixpkgs.nix takes from
# nixpkgs and from rust-overlay, over files of the host that import.sh has collected in ROOT.
{
  inputs.host = {
    url = "path:/give-it-with-override-input";
    flake = false;
  };

  outputs =
    { self, host }:
    let
      tools = import ./tools.nix { root = "${host}"; };
      busybox = builtins.head tools.path;
    in
    {
      # As nixpkgs.
      legacyPackages.x86_64-linux = {
        stdenv = {
          hostPlatform = { inherit (tools) system; };
          cc = tools.cc // {
            bintools = builtins.head tools.compiler;
          };
        };
        bash = busybox;
        coreutils = busybox;
        rustPlatform.importCargoLock = { lockFile }: tools.vendor lockFile;
        # Evaluated, and never entered.
        mkShell =
          { packages }:
          derivation {
            name = "shell";
            inherit (tools) system;
            builder = tools.shell;
            PATH = builtins.concatStringsSep ":" packages;
          };
        qemu = busybox;
        mtools = busybox;
        dosfstools = busybox;
        gptfdisk = busybox;
      };

      # As rust-overlay.
      lib.mkRustBin = { }: _pkgs: {
        stable."1.95.0".minimal.override = { targets }: builtins.seq targets tools.rust;
      };
    };
}
