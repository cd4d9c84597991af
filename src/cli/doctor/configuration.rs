//! Whether the configuration can be read, and where the page is.

use std::path::Path;

use qsegment::outputs::OutputError;
use qsegment::outputs::web::Web;

use super::check::{Check, Question};
use super::holders;
use super::host::Host;
use crate::cli::config::{self, Config, Listen};

const FILE: Question =
    Question::new("configuration", "a file whose every key and value is right, or none");
const PAGE: Question =
    Question::new("page", "an address of this machine with a free port, or \"off\"");

/// The configuration, and what there is to say of its file. The defaults stand in for one that is wrong, so that
/// everything else can be looked at.
pub(super) fn read(host: &Host, chosen: Option<&Path>) -> (Config, Check) {
    let file = chosen.map(Path::to_owned).or_else(|| config::system_file(host.root()));
    // The environment is that of this machine.
    let read = match (&file, host.is_this()) {
        (file, true) => Config::load(file.as_deref()),
        (Some(file), false) => Config::of_file(Some(file)),
        (None, false) => Ok(Config::default()),
    };
    let read = read.map(|config| config.with_system_network(host.root()));
    let config = match read {
        Ok(config) => config,
        Err(error) => {
            let found = host.as_there(&format!("{error:#}"));
            let next = "correct it, then `qsegment config show`; until then what follows goes by the defaults";
            return (Config::default(), FILE.fail(found, next));
        }
    };
    let found = match file {
        Some(file) => {
            let shown = host.as_there(&file.display().to_string());
            format!("{shown}: every key and value is right")
        }
        None => format!("no {}: the built-in defaults hold", config::SYSTEM_PATH),
    };
    (config, FILE.ok(found))
}

/// Takes the port for a moment, as a run would.
pub(super) fn page(host: &Host, settings: &config::Web) -> Check {
    let address = match settings.listen {
        Listen::Off => return PAGE.skipped("web.listen is \"off\""),
        Listen::At(address) => address,
    };
    if !host.is_this() {
        return PAGE.ok(format!("http://{address}/, where its port is free"));
    }
    let access = match settings.access() {
        Ok(access) => access,
        Err(error) => {
            return PAGE.fail(format!("{error:#}"), "correct web.listen or web.token_file");
        }
    };
    match Web::bind(address, access) {
        Ok(_) => PAGE.ok(format!("http://{address}/; its port is free")),
        Err(OutputError::AddressInUse(address)) => match holders::another_qsegment(host) {
            // Then all is well, as far as a helper is concerned.
            Some(running) => PAGE.warn(
                format!("{address} is in use, and {running} runs already"),
                format!("look at its page, http://{address}/, or stop it before you start another"),
            ),
            None => PAGE.fail(
                format!("{address} is in use"),
                format!(
                    "`ss -ltnp 'sport = :{}'` names the program: stop it, or set web.listen (--listen) to \
                     another port",
                    address.port()
                ),
            ),
        },
        Err(error) => PAGE.fail(error.to_string(), "set web.listen, or give --listen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use crate::cli::doctor::tree::Tree;

    #[test]
    fn broken_configuration_is_a_failure_with_its_line_and_the_defaults_stand_in() {
        let tree = Tree::new();
        let (config, check) = read(&tree.host(), None);
        assert_eq!((config, check.verdict), (Config::default(), Verdict::Ok));
        tree.write("etc/qsegment/config.toml", "[source]\nsceen = \"phantom\"\n");
        let (config, check) = read(&tree.host(), None);
        assert_eq!((config, check.verdict), (Config::default(), Verdict::Fail));
        assert_eq!(
            check.found,
            "/etc/qsegment/config.toml line 2: unknown key `source.sceen`; did you mean `source.scene`?"
        );
        tree.write("etc/qsegment/config.toml", "[source]\nkind = \"imx500\"\n");
        let (config, check) = read(&tree.host(), None);
        assert_eq!((config.source.kind, check.verdict), (config::Kind::Imx500, Verdict::Ok));
    }

    #[test]
    fn port_that_is_taken_is_a_failure() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = |listen| config::Web { listen, ..config::Web::default() };
        let listen = Listen::At(taken.local_addr().unwrap());
        let check = page(&Host::this(), &at(listen));
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.found.contains(" is in use"), "{check}");
        drop(taken);
        assert_eq!(page(&Host::this(), &at(listen)).verdict, Verdict::Ok);
        assert_eq!(page(&Host::this(), &at(Listen::Off)).verdict, Verdict::Skipped);
        let check = page(&Host::this(), &at("0.0.0.0:0".parse().unwrap()));
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.found.contains("`qsegment token FILE`"), "{check}");
    }
}
