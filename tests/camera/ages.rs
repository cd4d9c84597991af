//! What differs between the three ages of the driver.

use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{CameraError, Imx500};
use qsegment::source::{FrameSource, Next, RawFrame};

use crate::bench::{Bench, Parameter};

#[test]
fn id_and_injection_are_there_from_the_second_age_on() {
    let Some(bench) = Bench::new() else { return };
    let first = Parameter::get("age") == "1";
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(3);
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame));
    let id = camera.sensor().device_id().unwrap();
    assert_eq!(id.is_none(), first, "{id:?}");
    drop(camera);
    fed.end();

    let mut options = bench.options();
    options.injection = true;
    let clock = Clock::monotonic(StopSignal::default());
    match Imx500::open(options, clock, Box::new(|_| {})) {
        Ok(_) => assert!(!first),
        Err(CameraError::Unsuitable(said)) => {
            assert!(first && said.contains("cannot inject input tensors"), "{said}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn injection_without_a_stream_is_refused_in_words() {
    let Some(bench) = Bench::new() else { return };
    let camera = bench.open(|options| options.injection = Parameter::get("age") != "1");
    let error = camera.sensor().inject(&[0; 3072]).unwrap_err();
    assert!(error.to_string().starts_with("cannot inject an input tensor"), "{error}");
}
