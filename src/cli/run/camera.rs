//! Who runs the network of a camera: the sensor if it can, else the host, each rung stated.
//!
//! ```text
//!   pipeline.inference   what the network.rpk is              runs
//!   ------------------   ----------------------------------   -------------------------------------
//!   auto                 one that finds vessels               in the sensor; refused: host, on pictures
//!                        another (input tensors only)         host, on the sensor's input tensors
//!                        none, or not to be read              host, on pictures
//!   sensor               whatever it is                       in the sensor, or it is an error
//!   host                 one that finds vessels, or none      host, on pictures; it is not uploaded
//!                        another (input tensors only)         host, on the sensor's input tensors
//! ```
//!
//! Where there is a rung below, the camera is started here, before the pipeline: only then is it known who
//! runs the network, and what is said of the run stays true until its end.

use std::path::Path;

use anyhow::{Context, anyhow};
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::LINE_LEN_BYTES;
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::network_info::{self, NetworkInfo};
use qsegment::formats::rpk::{Rpk, SectionKind};
use qsegment::outputs::figures::{Facts, Ladder, NetworkFacts, Seen};
use qsegment::pipeline;
use qsegment::pipeline::geometry::Sight;
use qsegment::pipeline::host::{Host, Inference, Sees};
use qsegment::pipeline::vessels::{Unsuitable, Vessels};
use qsegment::source::clock::Clock;
use qsegment::source::imx500::picture::{Darkroom, Development};
use qsegment::source::imx500::{self, CameraError, Imx500};
use qsegment::source::simulated::isp::InferenceWindow;

use super::blame;
use super::chosen::{self, ASKED_FOR_HOST, Asked, Chosen};
use crate::cli::config::{self, Config, Picture};
use crate::cli::network::{self, INSTALL_PACKED, InputSize, MAKE_PACKED};
use crate::cli::out::tell;
use crate::cli::{Failure, builtin, crate_version, read};

/// Opens the camera that is there.
pub(super) fn open(config: &Config, asked: Asked, clock: &Clock) -> Result<Chosen, Failure> {
    let camera = CameraRun { config, asked, clock };
    let network = config.camera.network.as_path();
    match config.pipeline.inference {
        config::Inference::Sensor => {
            let options = camera.pictured(chosen::camera_options(config)?);
            let packed = Packed::read(network)?;
            let opened = chosen::open_camera(options, clock.clone())?;
            camera.in_sensor(opened, network, packed)
        }
        config::Inference::Auto => match Packed::configured(network) {
            Ok(packed @ Packed { only_input: None, .. }) => {
                let window = chosen::window_for_packed(config.source.inference_window.0, network)?;
                match camera.start(Some(network), window, Picture::InputTensor)? {
                    Started::Streams(opened) => camera.in_sensor(*opened, network, packed),
                    Started::NetworkRefused(error) => camera.on_pictures(&error.to_string()),
                }
            }
            Ok(Packed { only_input: Some(input), info, .. }) => {
                camera.on_input_tensors(network, &input, colours_of(info.as_ref()))
            }
            Err(error) => camera.on_pictures(&format!("{error:#}")),
        },
        config::Inference::Host => match Packed::configured(network) {
            Ok(Packed { only_input: Some(input), info, .. }) => {
                camera.on_input_tensors(network, &input, colours_of(info.as_ref()))
            }
            _ => camera.on_pictures(ASKED_FOR_HOST),
        },
    }
}

/// A camera that is to be run as configured.
struct CameraRun<'a> {
    config: &'a Config,
    asked: Asked,
    clock: &'a Clock,
}

/// How a start went.
enum Started {
    Streams(Box<Imx500>),
    NetworkRefused(CameraError),
}

impl CameraRun<'_> {
    fn in_sensor(&self, camera: Imx500, network: &Path, packed: Packed) -> Result<Chosen, Failure> {
        let input = packed.input_size().ok();
        let facts = NetworkFacts {
            name: network.display().to_string(),
            sha256: packed.sha256,
            parameters: None,
            macs: None,
        };
        let colours = colours_of(packed.info.as_ref());
        self.chosen(camera, facts, (input, colours), Inference::Sensor, None)
    }

    /// The sensor runs a network that finds no vessels, for the sake of its input tensors.
    fn on_input_tensors(
        &self,
        packed: &Path,
        input: &OnlyInput,
        colours: ColourOrder,
    ) -> Result<Chosen, Failure> {
        let reason = format!(
            "the sensor's network {} finds no vessels ({}), so the host runs one on its input tensors; pack a \
             vessel network with `qsegment pack` to run it in the sensor",
            packed.display(),
            input.why
        );
        let OnlyInput { layout, .. } = input;
        let size = self.asked.input_size.unwrap_or(InputSize::new(layout.width, layout.height));
        let (host, facts) = self.host(Some(size), Sees::InputTensor)?;
        host.check(layout).map_err(Failure::usage)?;
        let window = self.config.source.inference_window.0;
        let window = chosen::window_for(window, layout.width, layout.height)?;
        match self.start(Some(packed), window, Picture::InputTensor)? {
            Started::Streams(camera) => {
                let inference = Inference::Host(host);
                let seen = (Some((layout.width, layout.height)), colours);
                self.chosen(*camera, facts, seen, inference, Some(reason))
            }
            Started::NetworkRefused(error) => self.on_pictures(&error.to_string()),
        }
    }

    /// The sensor runs no network; its raw pictures are shown, and shown to the network.
    fn on_pictures(&self, reason: &str) -> Result<Chosen, Failure> {
        let (host, facts) = self.host(self.asked.input_size, Sees::Picture)?;
        let (width, height) = host.input_size();
        let window = chosen::window_for(self.config.source.inference_window.0, width, height)?;
        // What the second start says is nothing without the reason for it.
        let started = self.start(None, window, Picture::Bayer);
        match started.map_err(|failure| failure.after(reason))? {
            Started::Streams(camera) => {
                let inference = Inference::Host(host);
                let seen = (Some((width, height)), ColourOrder::Rgb);
                self.chosen(*camera, facts, seen, inference, Some(reason.to_owned()))
            }
            Started::NetworkRefused(error) => Err(Failure::source(error).after(reason)),
        }
    }

    fn host(&self, size: Option<InputSize>, sees: Sees) -> Result<(Host, NetworkFacts), Failure> {
        let blame = |error| blame(self.asked.names_what_is_seen, error);
        let chosen = network::load(&self.config.network, size).map_err(blame)?;
        let facts = chosen.facts();
        let host = Host::new(chosen.network, sees).map_err(|error| blame(error.into()))?;
        Ok((host, facts))
    }

    /// Starts the camera with this network; `picture` is what is needed of its frames at least.
    fn start(
        &self,
        network: Option<&Path>,
        window: InferenceWindow,
        picture: Picture,
    ) -> Result<Started, Failure> {
        let options = imx500::Options {
            network: network.map(Path::to_owned),
            ..chosen::camera_without_network(self.config, window)
        };
        let mut options = self.pictured(options);
        options.picture |= picture == Picture::Bayer;
        let opened = chosen::open_with_told_upload(options, self.clock.clone());
        let started = opened.and_then(|mut camera| camera.start().map(|()| camera));
        match started {
            Ok(camera) => Ok(Started::Streams(Box::new(camera))),
            Err(error) if error.may_be_the_network() => Ok(Started::NetworkRefused(error)),
            Err(error) => Err(Failure::source(error)),
        }
    }

    fn pictured(&self, options: imx500::Options) -> imx500::Options {
        imx500::Options { picture: self.config.camera.picture == Picture::Bayer, ..options }
    }

    /// `input`: width and height of the network's, where known, and the order of its planes.
    fn chosen(
        &self,
        mut camera: Imx500,
        network: NetworkFacts,
        (input, colour_order): (Option<(usize, usize)>, ColourOrder),
        inference: Inference,
        inference_reason: Option<String>,
    ) -> Result<Chosen, Failure> {
        let receiver = camera.receiver().name();
        tracing::info!(camera = camera.id(), receiver, "the camera is open");
        if let Some(reason) = &inference_reason {
            tracing::warn!(network = network.name, "the network runs on the host: {reason}");
            self.say_how_to_pack();
        }
        let ladder = Ladder {
            camera: "imx500".to_owned(),
            camera_reason: None,
            inference: inference.name().to_owned(),
            inference_reason,
        };
        let sensor = camera.sensor();
        let window = camera.inference_window();
        let aim = camera.aim(input);
        let seen = Sight::new(window, self.config.camera.flip.into());
        let darkroom = Darkroom::new(window, Development::default());
        Ok(Chosen {
            source: Box::new(camera),
            sensor: Some(sensor),
            facts: Facts {
                version: crate_version().to_owned(),
                network,
                ladder,
                scene: None,
                seed: None,
                pace: None,
                seen: seen.map(Seen::from),
                flips: self.config.camera.flip.into(),
                inference_model: None,
            },
            pipeline: pipeline::Options {
                // A camera goes on whether or not anybody keeps up.
                drop_when_behind: true,
                colour_order,
                picture: self.config.camera.picture.into(),
                darkroom,
                inference,
                ..chosen::configured(self.config)
            },
            window,
            aim,
        })
    }

    /// Nobody may hand out a packed network, so every sensor is without one at first.
    fn say_how_to_pack(&self) {
        let is_named = !self.config.camera.network.as_os_str().is_empty();
        if is_named || self.config.pipeline.inference == config::Inference::Host {
            return;
        }
        tell(format_args!(
            "to run it in the sensor, where Sony's converter is (`qsegment pack --setup ~/imx500`): `{MAKE_PACKED}`"
        ));
        tell(format_args!("and here: `{INSTALL_PACKED}`, then start again"));
    }
}

/// What of a packed network decides who runs what.
pub(crate) struct Packed {
    sha256: String,
    /// What it says of itself, where that can be read.
    info: Option<NetworkInfo>,
    /// Where its outputs are no vessel map.
    only_input: Option<OnlyInput>,
}

/// A network that is good for its input tensors only.
struct OnlyInput {
    layout: InputLayout,
    why: Unsuitable,
}

impl Packed {
    fn configured(network: &Path) -> anyhow::Result<Self> {
        if network.as_os_str().is_empty() {
            return Err(anyhow!(
                "the sensor has no network to run; pack one with `qsegment pack` and name it with --network or \
                 camera.network"
            ));
        }
        Self::read(network)
    }

    pub(super) fn read(network: &Path) -> anyhow::Result<Self> {
        Ok(Self::of(&Self::file(network)?))
    }

    /// The bytes of a packed network.
    pub(crate) fn file(network: &Path) -> anyhow::Result<Vec<u8>> {
        let shown = network.display();
        let limit = "one that fits into the sensor is under 8 MiB";
        let file =
            read::at_most(network, format_args!("the network {shown}"), MAX_RPK_LEN_BYTES, limit)?;
        if !network::is_packed(&file) {
            return Err(anyhow!("the camera uploads packed networks (.rpk)"))
                .context(format!("{shown} is not packed: run `qsegment pack` on it"));
        }
        Ok(file)
    }

    /// Why its outputs are no vessel map, where they are not.
    pub(crate) fn no_vessels(&self) -> Option<String> {
        self.only_input.as_ref().map(|input| input.why.to_string())
    }

    /// Width and height of its input.
    pub(super) fn input_size(&self) -> anyhow::Result<(usize, usize)> {
        let info = self.info.as_ref();
        let info =
            info.ok_or_else(|| anyhow!("it has no {} that can be read", network_info::MEMBER))?;
        Ok(info.input_size()?)
    }

    /// A file that cannot be taken apart is left to the driver, which looks at less of it.
    pub(crate) fn of(file: &[u8]) -> Self {
        let rpk = Rpk::parse(file).ok();
        let info = rpk.as_ref().and_then(|rpk| {
            let member = rpk.archive.member(network_info::MEMBER)?;
            NetworkInfo::parse(&member.data, member.offset).ok()
        });
        Self {
            sha256: builtin::sha256_hex(file),
            info,
            only_input: rpk.as_ref().and_then(only_input),
        }
    }
}

fn colours_of(info: Option<&NetworkInfo>) -> ColourOrder {
    info.and_then(|info| info.colours().ok()).unwrap_or_default()
}

fn only_input(rpk: &Rpk) -> Option<OnlyInput> {
    let params = ApParams::parse(&rpk.section(SectionKind::ApParams)?.data).ok()?;
    let network = params.networks.first()?;
    let layout = InputLayout::new(network.inputs.first()?).ok()?;
    let why = Vessels::new(&network.outputs, LINE_LEN_BYTES).err()?;
    Some(OnlyInput { layout, why })
}

/// The sensor holds 8 MiB; the file adds headers and a little text.
const MAX_RPK_LEN_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use qsegment::formats::ap_params::{InputTensorInfo, Network, OutputTensorInfo};
    use qsegment::formats::cpio::{Archive, Member};
    use qsegment::formats::rpk::Section;
    use qsegment::formats::tensor::{Dimension, QuantParams};

    fn axes(sizes: &[u16]) -> Vec<Dimension> {
        let axis = |(ordinal, &size)| Dimension {
            ordinal,
            size,
            serialization_index: ordinal,
            padding: 0,
        };
        (0..).zip(sizes).map(axis).collect()
    }

    /// A network of this input (width, height, planes) and output, as a packed file has it.
    fn packed(input: &[u16], output: &[u16]) -> Rpk {
        let quant = QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed: false };
        let network = Network {
            id: 0,
            name: "network".to_owned(),
            kind: String::new(),
            inputs: vec![InputTensorInfo {
                id: 0,
                name: "input".to_owned(),
                dimensions: axes(input),
                quant,
            }],
            outputs: vec![OutputTensorInfo {
                id: 0,
                name: "output".to_owned(),
                dimensions: axes(output),
                bits_per_element: 8,
                quant,
            }],
        };
        let params = ApParams { networks: vec![network] };
        Rpk {
            preamble_digits: *b"0314150000000000",
            sections: vec![Section::padded(SectionKind::ApParams, 0x8000_f000, params.emit())],
            patch_digits: *b"15",
            archive: Archive::packaged(vec![Member::packaged(
                network_info::MEMBER,
                b"inputTensorFormat=BGR\r\n".to_vec(),
            )]),
        }
    }

    #[test]
    fn network_of_ten_bytes_is_good_for_its_input_tensors_only() {
        let found = only_input(&packed(&[640, 480, 3], &[10])).unwrap();
        let InputLayout { width, height, channels, .. } = found.layout;
        assert_eq!((width, height, channels), (640, 480, 3));
        assert_eq!(found.why, Unsuitable::Shape { name: "output".to_owned(), sizes: vec![10] });
    }

    #[test]
    fn network_with_a_map_runs_in_the_sensor() {
        assert!(only_input(&packed(&[320, 320, 3], &[1, 320, 320])).is_none());
    }

    #[test]
    fn file_that_cannot_be_taken_apart_is_left_to_the_driver() {
        let packed = Packed::of(b"94640000");
        assert!(packed.only_input.is_none());
        assert_eq!(colours_of(packed.info.as_ref()), ColourOrder::Rgb);
    }

    #[test]
    fn without_a_network_the_next_step_is_named() {
        let error = Packed::configured(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("qsegment pack") && error.contains("camera.network"), "{error}");
    }
}
