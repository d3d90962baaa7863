# Coffer with Nix: `nix build .#image`, `.#uki`, `.#coffer`, `nix develop`.
#
# Everything is pinned by full revision. What is built, and how, is in nix/image.nix; where its tools come from, in nix/tools-nixpkgs.nix.
# Without the internet the same derivations build over the host's tools: default.nix.
{
  description = "Coffer, a container host operating system in one file";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/0145c6da2896513d94440e7fb41c11487aa3de16";
    rust-overlay.url = "github:oxalica/rust-overlay/62e3b8aedabc240e5b0cc9fae003bc9edfebbc9b";
    rust-overlay.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      system = "x86_64-linux";
      tools = import ./nix/tools-nixpkgs.nix {
        pkgs = nixpkgs.legacyPackages.${system};
        inherit rust-overlay;
        inherit (builtins.fromTOML (builtins.readFile ./rust-toolchain.toml)) toolchain;
      };
      packages = import ./nix/image.nix {
        inherit tools;
        src = self;
        revision = self.rev or self.dirtyRev or "unknown";
      };
    in
    {
      packages.${system} = packages // {
        default = packages.image;
      };
      devShells.${system}.default = tools.development;
      # That the image builds is the check.
      checks.${system} = { inherit (packages) image; };
    };
}
