//! A sensor before a scene, with the controller in the loop.
//!
//! ```text
//!   scene light x sensitivity of each colour x lines x gain -> noise -> clip -> colour gain -> clip
//!     -> gamma -> 8 bits -> tensor, `lag` frames later -> controller -> orders, `delay` frames later
//! ```

use super::scenes::{SIDE, Scene};
use qsegment::formats::embedded::SensorState;
use qsegment::source::imx500::ColourGains;
use qsegment::source::imx500::exposure::{
    Controller, LightMeter, Options, Order, Orders, Seen, Setting,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the sensor behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sensor {
    pub(crate) gamma: f64,
    /// Frames from an order to the first frame that is made under it.
    pub(crate) delay: u64,
    /// The same for colour gains.
    pub(crate) gains_delay: u64,
    /// Frames from a frame to its tensor.
    pub(crate) lag: u64,
    /// Frames from one frame that the network sees to the next.
    pub(crate) every: u64,
    /// Answer to red and blue where green has 1.0.
    pub(crate) red: f64,
    pub(crate) blue: f64,
    /// Standard deviation, as a share of what clips, of the darkest pixel.
    pub(crate) noise: f64,
    pub(crate) seed: u64,
    /// By how many frames the registers run ahead of the pictures.
    pub(crate) registers_ahead: u64,
}

impl Default for Sensor {
    fn default() -> Self {
        Self {
            gamma: 2.2,
            delay: 2,
            gains_delay: 2,
            lag: 3,
            every: 2,
            red: 0.6,
            blue: 0.65,
            noise: 0.002,
            seed: 1,
            registers_ahead: 0,
        }
    }
}

/// One tensor frame: under what it was made, how far off it was, and what was ordered because of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Stops from the aim, by the scene's own light, clipped or not.
    pub(crate) off_stops: f64,
    /// log2 of red and blue over green of the colour gains in force.
    pub(crate) gains: [f64; 2],
    pub(crate) setting: Setting,
    pub(crate) orders: Orders,
    pub(crate) settled: bool,
    pub(crate) white_balance_settled: bool,
}

pub(crate) struct Rig {
    pub(crate) sensor: Sensor,
    pub(crate) scene: Scene,
    pub(crate) controller: Controller,
    /// Whether they can be read.
    pub(crate) registers: bool,
    /// The driver sets no more lines than these.
    pub(crate) most_lines: u32,
    meter: LightMeter,
    aim: f64,
    rng: ChaCha8Rng,
    /// By the frame from which they hold.
    settings: Vec<(u64, Setting)>,
    gains: Vec<(u64, ColourGains)>,
    next: u64,
}

/// Light that exposes a scene of light 1.0 up to clipping: 1000 lines at gain 1.0.
const FULL_LIGHT: f64 = 1000.0;

impl Rig {
    /// `off_stops` is how far the median is from the aim at the start, with gains of 1.0.
    pub(crate) fn new(scene: Scene, sensor: Sensor, options: Options, off_stops: f64) -> Self {
        let mut rig = Self {
            sensor,
            scene,
            controller: Controller::new(options),
            registers: true,
            most_lines: u32::MAX,
            meter: LightMeter::default(),
            aim: options.brightness,
            rng: ChaCha8Rng::seed_from_u64(sensor.seed),
            settings: vec![(0, Setting { lines: 1000, gain_code: 0 })],
            gains: vec![(0, ColourGains::default())],
            next: 0,
        };
        let off = rig.off_stops(0);
        rig.settings[0].1 = split(1000_f64.log2() - off + off_stops);
        rig
    }

    /// Runs so many tensor frames.
    pub(crate) fn run(&mut self, tensors: usize) -> Vec<Step> {
        (0..tensors).map(|_| self.step()).collect()
    }

    fn step(&mut self) -> Step {
        let number = self.next;
        self.next += self.sensor.every;
        let newest = number + self.sensor.lag;
        let setting = in_force(&self.settings, number);
        let rgb = self.picture(number);
        let orders = self.controller.push(Seen {
            number,
            newest,
            light: self.meter.read(SIDE, SIDE, &rgb),
            registers: if self.registers {
                self.registers_of(number)
            } else {
                SensorState::default()
            },
            steady: number == 0 || self.registers_of(number) == self.registers_of(number - 1),
        });
        let state = self.controller.state();
        let step = Step {
            off_stops: self.off_stops(number),
            gains: self.log_gains(number),
            setting,
            orders,
            settled: state.exposure_settled,
            white_balance_settled: state.white_balance_settled,
        };
        if let Some(mut setting) = orders.setting {
            setting.lines = setting.lines.min(self.most_lines);
            self.controller.was_set(Order::Setting(setting));
            self.settings.push((newest + self.sensor.delay, setting));
        }
        if let Some(gains) = orders.colour_gains {
            self.gains.push((newest + self.sensor.gains_delay, gains));
        }
        step
    }

    /// The light changes by so many stops from now on.
    pub(crate) fn light_changes(&mut self, stops: f64) {
        let factor = stops.exp2();
        self.scene.light.iter_mut().flatten().for_each(|light| *light *= factor);
    }

    /// What grey world misses of red and blue, in stops, when the gains are 1.0.
    pub(crate) fn missing_colours(&self) -> [f64; 2] {
        let sensed = |axis: usize, answer: f64| {
            (self.median(|light| light[axis]) * answer / self.median(|light| light[1])).log2()
        };
        [-sensed(0, self.sensor.red), -sensed(2, self.sensor.blue)]
    }

    fn median(&self, value: impl Fn([f64; 3]) -> f64) -> f64 {
        let inside = self.scene.light.iter().zip(&self.scene.inside).filter(|(_, inside)| **inside);
        let mut values: Vec<f64> = inside.map(|(light, _)| value(*light)).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f64::total_cmp).1
    }

    fn log_gains(&self, number: u64) -> [f64; 2] {
        let gains = in_force(&self.gains, number);
        [gains.red, gains.blue].map(|gain| (f64::from(gain) / 256.0).log2())
    }

    /// Light on a pixel of each colour, 1.0 is where the ISP's output clips.
    fn sensed(&self, number: u64, light: [f64; 3]) -> [f64; 3] {
        let exposure = in_force(&self.settings, number).stops().exp2() / FULL_LIGHT;
        let [red, green, blue] = light;
        [red * self.sensor.red, green, blue * self.sensor.blue].map(|light| light * exposure)
    }

    /// How far the median of the noiseless, unclipped green is from the aim.
    fn off_stops(&self, number: u64) -> f64 {
        let green = self.median(|light| self.sensed(number, light)[1]);
        (green / self.aim.powf(self.sensor.gamma)).log2()
    }

    fn registers_of(&self, number: u64) -> SensorState {
        let setting = in_force(&self.settings, number + self.sensor.registers_ahead);
        SensorState {
            exposure_lines: Some(setting.lines.try_into().unwrap()),
            analogue_gain_code: Some(setting.gain_code.try_into().unwrap()),
            frame_length_lines: Some(2637),
            line_length_pixels: Some(9398),
            temperature_celsius: Some(40),
        }
    }

    fn picture(&mut self, number: u64) -> Vec<u8> {
        let gains = self.log_gains(number).map(f64::exp2);
        let gains = [gains[0], 1.0, gains[1]];
        let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
        for at in 0..self.scene.light.len() {
            let sensed = self.sensed(number, self.scene.light[at]);
            for (light, gain) in sensed.into_iter().zip(gains) {
                // Even, of deviation 1.
                let drawn = self.rng.random_range(-1.73..1.73);
                let noisy =
                    light + drawn * self.sensor.noise * (1.0 + 20.0 * light.min(1.0)).sqrt();
                let raw = noisy.clamp(0.0, 1.0);
                let encoded = (raw * gain).min(1.0).powf(1.0 / self.sensor.gamma) * 255.0;
                rgb.push(encoded.round() as u8);
            }
        }
        rgb
    }
}

/// By hand what the controller does: 2615 lines, then gain.
fn split(stops: f64) -> Setting {
    let light = stops.exp2();
    let lines = light.clamp(8.0, 2615.0).floor();
    let gain = (light / lines).clamp(1.0, 22.0);
    let setting = |lines: f64, code: f64| Setting { lines: lines as u32, gain_code: code as u32 };
    setting(lines, (1024.0 - 1024.0 / gain).round())
}

fn in_force<T: Copy>(ordered: &[(u64, T)], number: u64) -> T {
    ordered.iter().rev().find(|(from, _)| *from <= number).map(|(_, value)| *value).unwrap()
}
