use std::sync::{Arc, Mutex};
use std::time::Duration;

use qsegment::source::Quality;
use qsegment::source::power::{Activity, EnergyModel, Instrument, Scope, Simulated};

use crate::tree::{at, near};

#[test]
fn energy_is_streaming_time_and_inferences() {
    let model = EnergyModel::new(0.3791, 985_000_000, 4.97);
    let inference = 2.0 * 985e6 / 4.97e12;
    assert!(near(model.inference_joules, inference));
    let activity = Activity { streamed: Duration::from_secs(10), inferences: 150 };
    assert!(near(model.joules(activity), 3.791 + 150.0 * inference));
}

#[test]
fn it_counts_from_the_sensors_beginning_and_on_its_clock() {
    let done = Arc::new(Mutex::new(Activity::default()));
    let seen = Arc::clone(&done);
    let model = EnergyModel { streaming_watts: 0.3, inference_joules: 0.001 };
    let mut simulated = Simulated::new(model, Box::new(move || *seen.lock().unwrap()));
    assert_eq!(simulated.info().quality, Quality::Simulated);
    assert_eq!(simulated.info().scope, Scope::Sensor);
    *done.lock().unwrap() = Activity { streamed: Duration::from_secs(2), inferences: 60 };
    let first = simulated.read(at(99)).unwrap().unwrap();
    assert_eq!((first.at, first.joules), (at(0), Some(0.0)));
    let second = simulated.read(at(99)).unwrap().unwrap();
    assert_eq!(second.at, at(2000));
    assert!(near(second.joules.unwrap(), 0.66) && near(second.watts, 0.33), "{second:?}");
    assert_eq!(simulated.read(at(500)), Ok(None), "the sensor's time stands still");
    assert_eq!(second.quality, Quality::Simulated);
}
