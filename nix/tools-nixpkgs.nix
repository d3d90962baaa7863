# The tools from nixpkgs and rust-overlay: the only file that names attributes of theirs.
# nixpkgs' own rustc is built from source, with another LLVM and std, and gives other bytes; rust-overlay has the official one.
{
  pkgs,
  rust-overlay,
  toolchain,
}:
rec {
  inherit (pkgs.stdenv.hostPlatform) system;
  shell = "${pkgs.bash}/bin/sh";
  path = [ pkgs.coreutils ];
  rust = (rust-overlay.lib.mkRustBin { } pkgs).stable.${toolchain.channel}.minimal.override {
    inherit (toolchain) targets;
  };
  inherit (pkgs.stdenv) cc;
  compiler = [ pkgs.stdenv.cc.bintools pkgs.stdenv.cc ];
  vendor = lockFile: pkgs.rustPlatform.importCargoLock { inherit lockFile; };
  development = pkgs.mkShell { packages = [ rust pkgs.qemu pkgs.mtools pkgs.dosfstools pkgs.gptfdisk ]; };
}
