//! Reading the network that a command runs.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use qsegment::emulator;
use qsegment::outputs::figures::NetworkFacts;
use serde::Serialize;

use super::builtin;
use super::config::{self, NetworkFile, Threads};
use super::kind::kind_of;
use super::read;

/// Makes the packed network that a sensor runs, on a machine with Sony's converter.
pub(crate) const MAKE_PACKED: &str =
    "qsegment pack --venv ~/imx500 accurate -o network.rpk --task segmentation";

/// Puts it where it is found without being named ([`config::SYSTEM_NETWORK`]).
pub(crate) const INSTALL_PACKED: &str =
    "sudo install -D -m 644 network.rpk /etc/qsegment/network.rpk";

/// A network and where it comes from.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) identity: Identity,
    pub(crate) network: emulator::Network,
}

impl Chosen {
    pub(crate) fn facts(&self) -> NetworkFacts {
        NetworkFacts {
            name: self.identity.name.clone(),
            sha256: self.identity.sha256.clone(),
            parameters: Some(self.network.parameters()),
            macs: Some(self.network.macs()),
        }
    }
}

/// Which network it was, in every result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    /// The built-in network's name, or the file.
    pub(crate) name: String,
    /// Of the whole ONNX file.
    pub(crate) sha256: String,
}

/// How a command is told its network.
#[derive(Debug, Clone, Args)]
pub(crate) struct NetworkArgs {
    /// Network instead of the configured one: accurate, fast, or an ONNX file (MCTQ or QDQ)
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkFile>,
    /// Run the network at another input size; its parameters do not depend on it
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    pub(crate) input_size: Option<InputSize>,
    /// Threads that share a picture; the result does not depend on them
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
}

impl NetworkArgs {
    /// The command line wins over the file.
    pub(crate) fn over(&self, network: &mut config::Network) {
        if let Some(file) = &self.network {
            network.file = file.clone();
        }
        network.threads = self.threads.unwrap_or(network.threads);
    }
}

/// Loads the network, at another input size if one is given.
pub(crate) fn load(told: &config::Network, size: Option<InputSize>) -> anyhow::Result<Chosen> {
    // Engines take the fastest kernel where they are not told one; whoever names one wants to know.
    emulator::Kernel::chosen()?;
    let chosen = match &told.file {
        NetworkFile::BuiltIn(built_in) => Chosen {
            identity: Identity {
                name: built_in.name().to_owned(),
                sha256: built_in.sha256().to_owned(),
            },
            network: emulator::Network::load(built_in.onnx())
                .context("the built-in network cannot be loaded")?,
        },
        NetworkFile::Path(path) => {
            let bytes = read_network(path)?;
            let network = emulator::Network::load(&bytes)
                .with_context(|| format!("cannot use the network {}", path.display()))?;
            let name = path.display().to_string();
            Chosen { identity: Identity { name, sha256: builtin::sha256_hex(&bytes) }, network }
        }
    };
    let network = chosen.network.shared_by(told.threads.get());
    let Some(InputSize { width, height }) = size else { return Ok(Chosen { network, ..chosen }) };
    let network = network
        .with_input_size(height, width)
        .with_context(|| format!("{} cannot run at {width}x{height}", chosen.identity.name))?;
    Ok(Chosen { network, ..chosen })
}

fn read_network(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let bytes = read::at_most(
        path,
        format_args!("the network {shown}"),
        read::MAX_ONNX_BYTES,
        read::ONNX_REASON,
    )?;
    match kind_of(&bytes) {
        "an ONNX network" | "a file of unknown kind" => Ok(bytes),
        kind => bail!("{shown} is {kind}, not an ONNX network; give the MCTQ export (.onnx)"),
    }
}

/// Whether a file is a network packed for the sensor, by how it begins.
pub(crate) fn is_packed(file: &[u8]) -> bool {
    kind_of(file) == PACKED
}

/// The same of a file that has not been read; false where it cannot be.
pub(crate) fn file_is_packed(path: &Path) -> bool {
    let mut start = [0; 16];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && is_packed(&start))
}

const PACKED: &str = "a network.rpk for the sensor";

/// Pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputSize {
    width: usize,
    height: usize,
}

impl InputSize {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }
}

impl FromStr for InputSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        let side = |side: &str| side.parse().ok().filter(|&side: &usize| side > 0);
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => Err(format!("`{text}` is no size; write WIDTHxHEIGHT, such as 320x320")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        assert_eq!("48x32".parse(), Ok(InputSize { width: 48, height: 32 }));
        assert_eq!("48".parse(), Ok(InputSize { width: 48, height: 48 }));
        for wrong in ["", "x", "0x32", "48x", "-1x2", "48x32x3"] {
            assert!(wrong.parse::<InputSize>().is_err(), "{wrong}");
        }
    }
}
