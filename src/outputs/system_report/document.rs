//! The report as sections of paragraphs, tables and plots: what Markdown and HTML both spell.

use super::figure::{Basis, Row, Value, readable};
use super::{Compared, SystemReport, in_thousandths, plot, span};
use crate::outputs::figures::{COUNTERS, StageDefinition, StageFigures, definition};
use crate::pipeline::latency::Stage;
use crate::source::Quality;

/// A title and its sections.
pub(super) struct Document {
    pub(super) title: &'static str,
    pub(super) disclaimer: &'static str,
    pub(super) sections: Vec<Section>,
}

/// A heading and what stands under it.
pub(super) struct Section {
    pub(super) heading: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// One piece of a section.
pub(super) enum Block {
    Paragraph(String),
    List(Vec<String>),
    Table(Table),
    Command(String),
    /// Only where pictures can be: its figures stand in tables, too.
    Plot {
        svg: String,
        caption: String,
    },
}

/// Cells by row; each row is as long as the head.
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A cell.
pub(super) enum Cell {
    Text(String),
    /// Number and unit.
    Number(String),
    Quality(Basis),
}

/// Puts the report into sections.
pub(super) fn document(report: &SystemReport) -> Document {
    Document {
        title: "System report of qsegment",
        disclaimer: report.disclaimer,
        sections: vec![
            what_ran(report),
            comparison(report),
            stages(report),
            counts(report),
            power(report),
            emulator(report),
            model(report),
            bound(report),
            machine(report),
            not_reproduced(report),
        ],
    }
}

fn what_ran(report: &SystemReport) -> Section {
    let run = &report.run;
    let simulated = run.source.quality == Quality::Simulated;
    let source = if simulated {
        "There was no camera in this run. The sensor is simulated: its frames come at the times of the kernel driver's \
         mode table, and its network runs as long as a model fitted to two published run times says (section \"The \
         model of the simulated sensor\"). Every line marked simulated is of that model. What the host does with the sensor's bytes is the same \
         code as with a camera, and is measured."
    } else {
        "The frames of this run came from a camera. Times on the sensor's clock and the sensor's own run times are what \
         driver and sensor say."
    };
    let mut facts = vec![
        fact("source", &run.source.camera),
        fact("who ran the network", &run.source.inference),
        fact("network", &run.network.name),
        fact("network, sha256", &run.network.sha256),
    ];
    let optional = [
        ("why this source", run.source.camera_reason.clone()),
        ("why the host ran it", run.source.inference_reason.clone()),
        ("weights and biases in the file", run.network.parameters.map(|n| readable(n as f64))),
        ("multiply-accumulates", run.network.macs.map(|n| readable(n as f64))),
        ("scene", run.source.scene.clone()),
        ("seed", run.source.seed.map(|seed| seed.to_string())),
        ("pace", run.source.pace.clone()),
        ("last error of a buffer", run.source.last_error.clone()),
    ];
    facts.extend(optional.into_iter().filter_map(|(name, value)| Some(fact(name, &value?))));
    facts.push(fact("nominal frame interval", &format!("{:.1} ms", run.source.frame_interval_ms)));
    facts.push(fact("started", &run.timing.started));
    facts.push(fact("length", &format!("{:.1} s", run.timing.elapsed_s)));
    if let Some(factor) = run.timing.slow_motion_factor.value {
        let meaning = "1 is real time, above it slow motion: the processor could not keep up";
        facts
            .push(fact("host time over sensor time", &format!("{} ({meaning})", readable(factor))));
    }
    facts.push(fact("program", &format!("qsegment {}", report.qsegment)));
    let bases = Basis::ALL
        .into_iter()
        .map(|(basis, meaning)| vec![Cell::Quality(basis), Cell::Text(meaning.to_owned())]);
    let mut blocks = vec![
        Block::Paragraph(source.to_owned()),
        Block::Table(Table { head: vec!["fact", "value"], rows: facts }),
    ];
    let emulated = &report.emulator_network;
    if emulated.sha256 != run.network.sha256 {
        blocks.push(Block::Paragraph(format!(
            "The network came packed for the sensor, and such a file does not say what is in it. Model, bound and emulator \
             are of {}, sha256 {}.",
            emulated.name, emulated.sha256
        )));
    }
    blocks.extend([
        Block::Paragraph("The command that makes this report again:".to_owned()),
        Block::Command(report.command.clone()),
        Block::Paragraph("Every figure has one of these qualities:".to_owned()),
        Block::Table(Table { head: vec!["quality", "meaning"], rows: bases.collect() }),
    ]);
    Section { heading: "What ran", blocks }
}

fn comparison(report: &SystemReport) -> Section {
    let compared = report.published.iter().chain(&report.timing.ours);
    let line = |of: &Compared| {
        let parameters = of.parameters.map_or("not published here".to_owned(), readable);
        vec![
            Cell::Text(of.platform.clone()),
            Cell::Number(of.latency.with_unit("ms")),
            Cell::Quality(of.latency_quality),
            Cell::Number(of.power.with_unit("mW")),
            Cell::Quality(of.power_quality),
            Cell::Number(of.energy.with_unit("mJ")),
            Cell::Quality(of.energy_quality),
            Cell::Number(parameters),
            Cell::Text(of.definition.clone()),
            Cell::Text(of.source.clone()),
        ]
    };
    let mut blocks = vec![
        Block::Paragraph(
            "The first five lines are of Table III of arXiv 2312.09854, as published. The paper gives latency and power; energy is \
             ours for every line, latency times power, which supposes that this power is drawn for exactly this time. \
             In a pipeline frames overlap, so latency times power counts the same power more than once; the energy of a frame \
             by an instrument is in section \"Power\". The paper defines neither where a \
             latency begins and ends nor what a power contains, so the lines below it are beside its lines and not in \
             their place."
                .to_owned(),
        ),
        Block::Table(Table {
            head: vec![
                "platform", "latency", "quality", "power", "quality", "energy", "quality", "parameters", "definition",
                "source",
            ],
            rows: compared.map(line).collect(),
        }),
    ];
    blocks.push(Block::Plot {
        svg: plot::latency_against_power(&report.published, &report.timing.ours),
        caption: plot::LATENCY_AGAINST_POWER.to_owned(),
    });
    Section { heading: "Beside the paper's Table III", blocks }
}

fn stages(report: &SystemReport) -> Section {
    let mut rows: Vec<Vec<Cell>> = report.stages().map(stage).collect();
    let in_sensor = definition(Stage::NetworkRunTime);
    if super::stage_of(&report.run, in_sensor.name).is_none() {
        rows.push(no_stage(in_sensor, super::NO_RUN_TIME));
    }
    if let Some(why) = report.screen_missing {
        for stage in [
            Stage::MaskToCommit,
            Stage::CommitToFlip,
            Stage::ExposureToFlip,
            Stage::ExposureToReplaced,
        ] {
            rows.push(no_stage(definition(stage), why));
        }
    }
    Section {
        heading: "Stages of this run",
        blocks: vec![
            Block::Paragraph(
                "Medians and tails over the frames of the run, in milliseconds. Stages on the sensor's clock include the \
                 read-out. \"Sensor to scan-out\" is exposure_to_flip. Glass to glass, from light to light, is in no line: \
                 it takes a photodiode, and adds the panel's own delay."
                    .to_owned(),
            ),
            Block::Table(Table {
                head: vec![
                    "stage", "p50", "p95", "p99", "max", "frames", "quality", "definition", "source",
                ],
                rows,
            }),
            Block::Plot {
                svg: plot::stages(report.stages()),
                caption: plot::STAGES.to_owned(),
            },
        ],
    }
}

fn stage(stage: &StageFigures) -> Vec<Cell> {
    let ms = |ms: f64| Cell::Number(format!("{} ms", readable(ms)));
    vec![
        Cell::Text(stage.definition.name.to_owned()),
        ms(stage.p50_ms),
        ms(stage.p95_ms),
        ms(stage.p99_ms),
        ms(stage.max_ms),
        Cell::Number(stage.count.to_string()),
        Cell::Quality(stage.quality.into()),
        Cell::Text(span(stage.definition)),
        Cell::Text(format!("this run, clock: {}", stage.definition.clock)),
    ]
}

fn no_stage(definition: StageDefinition, why: &str) -> Vec<Cell> {
    let none = || Cell::Number("none".to_owned());
    vec![
        Cell::Text(definition.name.to_owned()),
        none(),
        none(),
        none(),
        none(),
        Cell::Number("0".to_owned()),
        Cell::Quality(Basis::NotMeasured),
        Cell::Text(format!("not measured: {why}; {}", span(definition))),
        Cell::Text(format!("this run, clock: {}", definition.clock)),
    ]
}

fn counts(report: &SystemReport) -> Section {
    let run = &report.run;
    let basis = |key| run.quality.get(key).map_or(Basis::Measured, |quality| (*quality).into());
    let row = |id: String, count: f64, unit, quality, definition: &str, source: &str| Row {
        figure: id.clone(),
        id,
        value: Value::one(count),
        unit,
        quality,
        definition: definition.to_owned(),
        source: source.to_owned(),
    };
    let mut rows: Vec<Row> = COUNTERS
        .iter()
        .filter_map(|counter| {
            let count = *run.counters.get(counter.name)?;
            let name = counter.name.to_owned();
            Some(row(
                name,
                count as f64,
                counted_in(counter.name),
                basis("counters"),
                counter.help,
                "counted by the host",
            ))
        })
        .collect();
    for (name, times) in &run.timing.queue_drops {
        let name = format!("queue_drops: {name}");
        let help = "frames that this queue's reader was too slow for";
        let source = "counted by the host";
        rows.push(row(name, *times as f64, "frames", Basis::Measured, help, source));
    }
    for (kind, counted, help) in [
        ("injected_faults", &run.injected_faults, "what the simulated sensor was told to break"),
        ("device_events", &run.device_events, "what went wrong between camera and host"),
    ] {
        rows.extend(counted.iter().map(|(name, times)| {
            row(format!("{kind}: {name}"), *times as f64, "times", basis(kind), help, "this run")
        }));
    }
    rows.extend(run.recovery.steps.iter().map(|(remedy, times)| {
        let help = "steps that were tried to recover the source";
        let id = format!("recovery: {remedy}");
        row(id, *times as f64, "steps", basis("recovery"), help, "counted by the host")
    }));
    for (id, figure) in [("frame rate", &run.rates.frames), ("tensor rate", &run.rates.tensors)] {
        rows.push(Row {
            id: id.to_owned(),
            figure: id.to_owned(),
            value: figure.value.map_or_else(|| Value::missing("no frame came"), Value::one),
            unit: figure.unit,
            quality: figure.quality.into(),
            definition: figure.definition.to_owned(),
            source: "this run, sensor clock".to_owned(),
        });
    }
    Section {
        heading: "Frames: lost, unpaired, stale",
        blocks: vec![
            Block::Paragraph(
                "What came, what was joined, and everything that was lost on the way, by the place where it was lost."
                    .to_owned(),
            ),
            Block::Table(figures(&rows)),
        ],
    }
}

/// What a counter counts.
fn counted_in(counter: &str) -> &'static str {
    match counter {
        "inputs" | "outputs" | "unpaired" | "skipped_inputs" => "tensors",
        "paired" | "missing_pictures" => "frames",
        "counter_jumps" | "stalls" => "times",
        _ => "buffers",
    }
}

fn power(report: &SystemReport) -> Section {
    let mut rows = Vec::new();
    let no_reading = "too few readings";
    for of in &report.run.timing.power {
        let scope = of.scope.name();
        let no_idle = match of.quality {
            Quality::Simulated => "the model knows no idle sensor",
            Quality::Measured | Quality::Estimated => "no idle baseline; set power.idle_seconds",
        };
        let mut push = |what: &str, (value, quality): (Value, Basis), unit, definition: &str| {
            rows.push(Row {
                id: format!("power_{scope}_{what}"),
                figure: format!("{scope}: {what}"),
                value,
                unit,
                quality,
                definition: definition.to_owned(),
                source: format!("{} ({})", of.instrument, of.source.name()),
            });
        };
        for (what, figure, unit, missing) in [
            ("mean power", &of.mean_power, "mW", no_reading),
            ("idle power", &of.idle_power, "mW", no_idle),
            ("power above idle", &of.power_above_idle, "mW", no_idle),
            ("energy a frame", &of.energy_per_frame, "mJ", no_reading),
            ("energy above idle a frame", &of.energy_above_idle_per_frame, "mJ", no_idle),
        ] {
            push(what, in_thousandths(figure, missing), unit, figure.figure.definition);
        }
        push(
            "gaps in the readings",
            (Value::one(of.gaps as f64), Basis::Measured),
            "pieces",
            "pieces of the run whose energy is in no figure here",
        );
    }
    let mut blocks = vec![Block::Paragraph(
        "Power by scope: the sensor, the whole board, the processor's package. A scope contains others (the board feeds \
         the sensor and the processor), so no two are ever added. Idle lines need power.idle_seconds in config.toml."
            .to_owned(),
    )];
    let instruments = report.run.timing.power.iter().map(|of| {
        let (scope, source) = (of.scope.name(), of.source.name());
        format!(
            "{} ({source}), scope {scope}: {}. Uncertainty: {}.",
            of.instrument, of.definition, of.uncertainty
        )
    });
    if rows.is_empty() {
        blocks.push(Block::Paragraph(
            "Not measured: no instrument was found. [power] in config.toml has those that can be read; an INA226 in the \
             camera's 3.3 V line is the one that resolves the sensor."
                .to_owned(),
        ));
    } else {
        blocks.push(Block::List(instruments.collect()));
        blocks.push(Block::Table(figures(&rows)));
    }
    Section { heading: "Power", blocks }
}

fn emulator(report: &SystemReport) -> Section {
    let words = "The emulator computes what the quantised network says, to the bit; how long it takes is this machine's affair. \
                 It has two kernels, the engine and the slow reference that defines it, and each uses one thread.";
    let mut blocks = vec![Block::Paragraph(words.to_owned())];
    if let Some(load) = report.timing.load_average {
        let cores = report.machine.cores;
        blocks.push(Block::Paragraph(format!(
            "Before the run the load average of one minute was {} on {cores} threads; above {cores}, other programs were in \
             the way, and every time taken by the host's clock is too long.",
            readable(load)
        )));
    }
    blocks.push(Block::Table(figures(&report.timing.emulator)));
    Section { heading: "The network on this CPU", blocks }
}

fn model(report: &SystemReport) -> Section {
    Section {
        heading: "The model of the simulated sensor",
        blocks: vec![
            Block::Paragraph(
                "Where no sensor is, run time, read-out and energy come from here. Sony's figures (ISSCC 2021) are taken as the \
                 documentation of Sony's modlib quotes them. The run time of the network is its \
                 multiply-accumulates over a rate; two rates are published, and they disagree, so it is a range."
                    .to_owned(),
            ),
            Block::Table(figures(&report.model)),
        ],
    }
}

fn bound(report: &SystemReport) -> Section {
    Section {
        heading: "Why 0.23 ms cannot be 960 x 960",
        blocks: vec![
            Block::Paragraph(
                "The paper gives 0.23 ms for the network in the sensor, and accuracy at 960 x 960. Both cannot be the same \
                 inference: by the sensor's peak rate, by the size of its input tensor, and by its memory."
                    .to_owned(),
            ),
            Block::Table(figures(&report.bound)),
            Block::Paragraph(
                "The paper's figures also contradict each other: its conclusion has 530 frames a second and 73 mW, its \
                 table 0.23 ms (4348 a second) and 71.94 mW; its first version had 1.9 ms, of which 530 a second is the \
                 inverse."
                    .to_owned(),
            ),
        ],
    }
}

fn machine(report: &SystemReport) -> Section {
    let machine = &report.machine;
    let simd =
        if machine.simd.is_empty() { "none known".to_owned() } else { machine.simd.join(", ") };
    let mut facts: Vec<_> = machine.board.iter().map(|board| fact("board", board)).collect();
    facts.extend([
        fact("processor", &machine.cpu),
        fact("threads at once", &machine.cores.to_string()),
        fact("vector instructions there", &simd),
        fact("kernel", &machine.kernel),
        fact("build", machine.build),
    ]);
    Section {
        heading: "The machine",
        blocks: vec![Block::Table(Table { head: vec!["fact", "value"], rows: facts })],
    }
}

fn not_reproduced(report: &SystemReport) -> Section {
    let mut list = vec![
        "0.23 ms and 71.94 mW (\"IMX-500\"): not reproduced. No input size, instrument or definition is published, and the \
         figures cannot be those of 960 x 960."
            .to_owned(),
        "17.21 ms and 254.60 mW (\"IMX-500-Full\"): not reproduced. The Raspberry Pi's driver reads out more slowly than \
         the sensor can, so on a Raspberry Pi the read-out alone takes longer."
            .to_owned(),
        "Glass to glass: not measured. It takes a light and a photodiode.".to_owned(),
        "Accuracy: not part of this report; model/MODEL_CARD.md has it.".to_owned(),
    ];
    if report.run.source.quality == Quality::Simulated {
        list.push(
            "Silicon: none took part. Only an IMX500 can tell the run time of the network, the unit of its KPI line, the \
             moments at which it latches, what it draws, and whether it rounds as the emulator does."
                .to_owned(),
        );
    }
    Section { heading: "What is not reproduced here", blocks: vec![Block::List(list)] }
}

fn figures(rows: &[Row]) -> Table {
    let line = |row: &Row| {
        vec![
            Cell::Text(row.figure.clone()),
            Cell::Number(row.value.with_unit(row.unit)),
            Cell::Quality(row.quality),
            Cell::Text(row.definition.clone()),
            Cell::Text(row.source.clone()),
        ]
    };
    Table {
        head: vec!["figure", "value", "quality", "definition", "source"],
        rows: rows.iter().map(line).collect(),
    }
}

fn fact(name: &str, value: &str) -> Vec<Cell> {
    vec![Cell::Text(name.to_owned()), Cell::Text(value.to_owned())]
}
