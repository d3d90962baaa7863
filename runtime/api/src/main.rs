//! The engine on a Linux machine, for development: `coffer-engine-dev --unix /tmp/coffer.sock --folder /tmp/coffer`.
//!
//! It is what `init engine` is on a Coffer machine, and the shim and helper as well, with everything from the command line.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use runtime_api::Options;
use runtime_registry::Registry;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const USAGE: &str = "usage: coffer-engine-dev [--folder DIR] [--unix PATH] [--tcp ADDRESS --client-ca FILE] \
    [--http-registry HOST:PORT]... [--registry-ca HOST:PORT=FILE]... [--workload FILE]";

fn main() -> ExitCode {
    if let Some(code) = coffer_engine::helper::main(&env::args_os().collect::<Vec<_>>()) {
        return code;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    match options(&arguments) {
        Ok(options) => runtime_api::run(options),
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut options = Options {
        folder: PathBuf::from("/tmp/coffer"),
        helper: vec![program.to_string_lossy().into_owned()],
        unix: None,
        tcp: None,
        client_authorities: Vec::new(),
        names: Vec::new(),
        registries: Vec::new(),
        measuring: None,
        evidence: None,
        workload: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
        match argument.as_str() {
            "--folder" => options.folder = value.into(),
            "--unix" => options.unix = Some(value.into()),
            "--workload" => {
                let text = fs::read_to_string(value);
                options.workload = Some(text.map_err(|error| format!("cannot read `{value}`: {error}"))?);
            }
            "--tcp" => options.tcp = Some(value.parse().map_err(|_| format!("`{value}` is no address"))?),
            "--client-ca" => options.client_authorities.extend(certificates(value)?),
            "--http-registry" => options.registries.push(Registry {
                name: value.clone(),
                authorities: Vec::new(),
                is_http: true,
            }),
            "--registry-ca" => {
                let (name, path) = value.split_once('=').ok_or("`--registry-ca` needs HOST:PORT=FILE")?;
                options.registries.push(Registry {
                    name: name.to_owned(),
                    authorities: certificates(path)?,
                    is_http: false,
                });
            }
            other => return Err(format!("unknown option `{other}`")),
        }
    }
    Ok(options)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    certificates.map_err(|error| format!("`{path}` is no certificate: {error:?}"))
}
