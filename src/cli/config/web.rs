//! `[web]`: where the page is, and who may look at it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use qsegment::outputs::web::{self, Access, HostName, Token};
use serde::{Deserialize, Serialize};

use super::Listen;

/// The page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    /// Address and port of the page, or `"off"`. Default `"127.0.0.1:8500"`. One that other machines reach needs
    /// `token_file`.
    pub(crate) listen: Listen,
    /// File with the token that whoever opens the page must know. Default `""`, none is needed.
    pub(crate) token_file: PathBuf,
    /// Names under which the page may be asked for, beside its addresses and localhost. Default none.
    pub(crate) host_names: Vec<String>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 8500))),
            token_file: PathBuf::new(),
            host_names: Vec::new(),
        }
    }
}

impl Web {
    /// Refuses what is wrong whatever else is said.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.host_names().map(drop)
    }

    /// Who may look at the page; reads the token. Refuses a page that strangers could open.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let given = !self.token_file.as_os_str().is_empty();
        let token = given.then(|| Token::read(&self.token_file)).transpose();
        let token = token.context("web.token_file")?;
        let access = Access { token, host_names: self.host_names()? };
        if let Listen::At(address) = self.listen {
            web::Web::check(address, &access).context("web.listen")?;
        }
        Ok(access)
    }

    fn host_names(&self) -> anyhow::Result<Vec<HostName>> {
        let name = |text: &String| {
            HostName::new(text).ok_or_else(|| {
                anyhow!("web.host_names: {text:?} is no name; write it without http:// and port, such as \"pi.local\"")
            })
        };
        self.host_names.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_can_reach_needs_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let token_file = dir.path().join("token");
        Token::create(&token_file).unwrap();
        for (address, fine) in [
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("off", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("10.0.0.2:80", false),
        ] {
            let mut web = Web { listen: address.parse().unwrap(), ..Web::default() };
            assert_eq!(web.access().is_ok(), fine, "{address}");
            web.token_file.clone_from(&token_file);
            assert!(web.access().unwrap().token.is_some(), "{address}");
        }
    }

    #[test]
    fn host_names_are_names() {
        for (name, fine) in [
            ("pi.local", true),
            ("PI-4_a", true),
            ("", false),
            ("http://pi", false),
            ("pi:8500", false),
            ("*", false),
        ] {
            let web = Web { host_names: vec![name.to_owned()], ..Web::default() };
            assert_eq!(web.check().is_ok(), fine, "{name}");
        }
    }
}
