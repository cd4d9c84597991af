//! What the converter's log means, in one sentence: cause and next step.

/// The sentence for a converter that has failed; `ending` is how its process ended.
pub(super) fn sentence(lines: &[String], ending: &str) -> String {
    let find = |mark: &str| lines.iter().rev().find(|line| line.contains(mark));
    if let Some(line) = find("Not enough memory") {
        return too_big(line);
    }
    if let Some(line) = find("unsupported ops:") {
        let operators = after(line, "unsupported ops:");
        return format!(
            "the converter does not know these operators: {operators}; export the network without them"
        );
    }
    if find("UnsupportedClassVersionError").is_some() {
        return "Java is too old for the converter; install Java 17 (apt install openjdk-17-jre-headless)"
            .to_owned();
    }
    if find("java: command not found").is_some()
        || find("'java' command could be found").is_some()
        || find("JAVA_HOME is set to an invalid directory").is_some()
    {
        return "the converter found no Java; install Java 17 (apt install openjdk-17-jre-headless) and see \
                that JAVA_HOME is unset or right"
            .to_owned();
    }
    if let Some(line) = find("Unsupported producer:") {
        let producer = after(line, "Unsupported producer:");
        let producer = producer.split_once(". Only").map_or(producer, |(name, _)| name);
        return format!(
            "the converter takes only what torch has exported, and this file's producer is {producer}; \
             give the MCTQ file that model-compression-toolkit wrote"
        );
    }
    if find("Failed to load").is_some() {
        return "the converter cannot read the file: it is cut short or no ONNX; copy or export it again"
            .to_owned();
    }
    if find("No space left on device").is_some() {
        return "the disk is full; the converter needs about 1 GB where TMPDIR points to"
            .to_owned();
    }
    if find("OutOfMemoryError").is_some() || find("MemoryError").is_some() {
        return "the converter ran out of memory; it needs about 2 GB free".to_owned();
    }
    if find("is_weakly_connected").is_some() {
        return "the converter found parts of the network that are not connected, as in a file without \
                quantisers; give the MCTQ export of model-compression-toolkit"
            .to_owned();
    }
    if find("bad interpreter").is_some() || find("ModuleNotFoundError").is_some() {
        return "the converter's Python environment is broken or was moved; make it again with: qsegment \
                pack --setup DIR"
            .to_owned();
    }
    let last = lines.iter().rev().find(|line| line.contains("ERROR") && !line.ends_with("[EXEC]"));
    match last.or_else(|| lines.iter().rev().find(|line| !line.trim().is_empty())) {
        Some(line) => format!("the converter failed ({ending}), saying: {}", line.trim()),
        None => format!("the converter failed ({ending}) without a word"),
    }
}

fn too_big(line: &str) -> String {
    let number = |mark| {
        let text = after(line, mark).trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].parse::<f64>().ok()
    };
    let advice = "use a smaller input, drop a skip around a block at full resolution, give the stem a \
                  stride of 2, or try --no-input-persistency; qsegment inspect names the tensors that \
                  take the room";
    match (number("available:"), number("required:")) {
        (Some(available), Some(required)) => format!(
            "the network does not fit into the sensor: it needs {required:.2} MB of {available:.2}, \
             {:.2} MB too many; {advice}",
            required - available
        ),
        _ => format!("the network does not fit into the sensor; {advice}"),
    }
}

/// What follows `mark`, without the place in the converter's own code.
fn after<'a>(line: &'a str, mark: &str) -> &'a str {
    let rest = line.split_once(mark).map_or("", |(_, rest)| rest);
    rest.split_once(" [/").map_or(rest, |(rest, _)| rest).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines in the form of imx500-converter 3.19.2's, each seen here for the cause it stands for.
    #[test]
    fn every_known_failure_names_cause_and_next_step() {
        for (line, starts, has) in [
            (
                "ERROR: CODE: [ISM] ConvFe error (ISM) on 'n': Not enough memory, available: 8.00MB , \
                 required: 10.10MB ",
                "the network does not fit into the sensor: it needs 10.10 MB of 8.00, 2.10 MB too many",
                "smaller input",
            ),
            (
                "ERROR : CODE: [USOP] The network contains unsupported ops: Softplus [/x/logger.py:185]",
                "the converter does not know these operators: Softplus;",
                "without them",
            ),
            ("main.sh: line 26: java: command not found", "the converter found no Java", "Java 17"),
            (
                "Exception in thread \"main\" java.lang.UnsupportedClassVersionError: App",
                "Java is too old",
                "Java 17",
            ),
            (
                "ERROR : CODE: [EXEC] Unsupported producer: some_tool. Only pytorch is supported [/x:1]",
                "the converter takes only what torch has exported, and this file's producer is some_tool;",
                "MCTQ",
            ),
            (
                "RuntimeError: Failed to load cut.onnx",
                "the converter cannot read the file",
                "again",
            ),
            ("OSError: [Errno 28] No space left on device", "the disk is full", "TMPDIR"),
            (
                "java.lang.OutOfMemoryError: Java heap space",
                "the converter ran out of memory",
                "2 GB",
            ),
            (
                "    assert nx.algorithms.components.is_weakly_connected(self.nx_graph)",
                "the converter found parts",
                "MCTQ",
            ),
            ("ModuleNotFoundError: No module named 'uni'", "the converter's Python", "--setup"),
        ] {
            let log = ["INFO : Running".to_owned(), line.to_owned(), "INFO : end".to_owned()];
            let said = sentence(&log, "exit code 1");
            assert!(said.starts_with(starts) && said.contains(has), "{line}\n{said}");
        }
    }

    #[test]
    fn an_unknown_failure_quotes_the_log() {
        let log = ["INFO : a".to_owned(), "ERROR : odd".to_owned(), "INFO : b".to_owned()];
        let said = sentence(&log, "exit code 3");
        assert_eq!(said, "the converter failed (exit code 3), saying: ERROR : odd");
        assert_eq!(sentence(&[], "it ended"), "the converter failed (it ended) without a word");
    }
}
