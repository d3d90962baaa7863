# Coffer with Nix and without nixpkgs: over the host's tools, which nix/host/import.sh collects in the folder `root`.
#
#   sh nix/host/import.sh ROOT && sh nix/host/seed-crates.sh STORE
#   nix-build --store STORE --argstr root ROOT -A image
#
# `cargo xtask reproduce` does just this.
{
  root,
  revision ? "unknown",
}:
import ./nix/image.nix {
  tools = import ./nix/host/tools.nix { inherit root; };
  src = ./.;
  inherit revision;
}
