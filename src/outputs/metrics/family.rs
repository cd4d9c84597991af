//! One family: its name, unit and help once, then its samples.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::pipeline::latency::{BUCKET_BOUNDS, StageBuckets};

/// What all samples of a family share. `unit` is "" where what is counted has none; the text appends it to the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) help: &'static str,
}

impl Family {
    pub(super) const fn new(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, unit, help }
    }
    fn unit(self) -> Option<Unit> {
        (!self.unit.is_empty()).then(|| Unit::Other(self.unit.to_owned()))
    }
}

pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes families; one without samples leaves no trace.
pub(super) struct Families<'a, 'e>(pub(super) &'a mut DescriptorEncoder<'e>);

impl Families<'_, '_> {
    pub(super) fn gauge(
        &mut self,
        family: Family,
        value: impl Into<Option<f64>>,
    ) -> Result<(), Error> {
        self.gauges(family, value.into().map(|value| (Vec::new(), value)))
    }
    pub(super) fn gauges<'l>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        self.samples(family, samples.into_iter().map(|(labels, v)| (labels, ConstGauge::new(v))))
    }
    pub(super) fn counter(&mut self, family: Family, value: u64) -> Result<(), Error> {
        self.counters(family, [(Vec::new(), value)])
    }
    pub(super) fn counters<'l>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> Result<(), Error> {
        self.samples(family, samples.into_iter().map(|(labels, v)| (labels, ConstCounter::new(v))))
    }
    /// Counters of what comes in fractions.
    pub(super) fn sums<'l>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        self.samples(family, samples.into_iter().map(|(labels, v)| (labels, ConstCounter::new(v))))
    }

    fn samples<'l, M: EncodeMetric>(
        &mut self,
        family: Family,
        samples: impl Iterator<Item = (Labels<'l>, M)>,
    ) -> Result<(), Error> {
        let mut samples = samples.peekable();
        let Some((_, first)) = samples.peek() else { return Ok(()) };
        let (kind, unit) = (first.metric_type(), family.unit());
        let mut written =
            self.0.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
        for (labels, sample) in samples {
            if labels.is_empty() {
                // Once, since nothing tells two of them apart.
                return sample.encode(written);
            }
            sample.encode(written.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A family that only says what is so, in its labels.
    pub(super) fn info(&mut self, family: Family, labels: Labels<'_>) -> Result<(), Error> {
        let unit = family.unit();
        let kind = MetricType::Info;
        let mut written =
            self.0.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
        written.encode_info(&labels)
    }

    pub(super) fn histograms<'l>(
        &mut self,
        family: Family,
        stages: impl IntoIterator<Item = (Labels<'l>, &'l StageBuckets)>,
    ) -> Result<(), Error> {
        let mut stages = stages.into_iter().peekable();
        if stages.peek().is_none() {
            return Ok(());
        }
        let unit = family.unit();
        let kind = MetricType::Histogram;
        let mut written =
            self.0.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
        for (labels, stage) in stages {
            let bounds = BUCKET_BOUNDS.iter().map(std::time::Duration::as_secs_f64);
            let longer = stage.count - stage.within.iter().sum::<u64>();
            let buckets: Vec<_> =
                bounds.zip(stage.within).chain([(f64::INFINITY, longer)]).collect();
            let sum = stage.sum.as_secs_f64();
            written.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                sum,
                stage.count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}
