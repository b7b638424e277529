//! Licences, sources and bans of every dependency, by `cargo metadata` against the lists of deny.toml.
//!
//! The same file serves cargo-deny where it is installed; building that here would take longer than the suites it
//! would check. Advisories need a database that must be fetched: see `elsewhere.rs`.

use crate::suite::Outcome;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The lists of deny.toml that this reads.
struct Rules {
    licences: Vec<String>,
    registries: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn read(text: &str) -> Result<Rules> {
        let table: toml::Table = text.parse()?;
        let list = |section: &str, key: &str| -> Result<Vec<toml::Value>> {
            let found = table.get(section).and_then(|section| section.get(key)).and_then(|list| list.as_array());
            Ok(found.with_context(|| format!("deny.toml lacks {section}.{key}"))?.clone())
        };
        let strings = |values: Vec<toml::Value>| values.iter().filter_map(|v| Some(v.as_str()?.to_owned())).collect();
        let banned = list("bans", "deny")?;
        Ok(Rules {
            licences: strings(list("licenses", "allow")?),
            registries: strings(list("sources", "allow-registry")?),
            banned: banned.iter().filter_map(|ban| Some(ban.get("crate")?.as_str()?.to_owned())).collect(),
        })
    }

    /// What is wrong with a package of `cargo metadata`.
    fn faults(&self, package: &Value) -> Vec<String> {
        let name = package["name"].as_str().unwrap_or_default();
        let mut faults = Vec::new();
        match package["license"].as_str() {
            None => faults.push("no licence expression".to_owned()),
            Some(licence) if !Expression::new(licence).met(&self.licences) => {
                faults.push(format!("licence {licence:?} can't be met from licenses.allow"));
            }
            Some(_) => {}
        }
        // Packages of this workspace have no source.
        if let Some(source) = package["source"].as_str() {
            let known = source.strip_prefix("registry+").is_some_and(|url| self.registries.iter().any(|r| r == url));
            if !known {
                faults.push(format!("source {source} is not in sources.allow-registry"));
            }
        }
        if self.banned.iter().any(|banned| banned == name) {
            faults.push("banned".to_owned());
        }
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let wild = dependencies.filter(|dep| package["source"].is_null() && dep["path"].is_null() && dep["req"] == "*");
        faults.extend(wild.map(|dep| format!("any version of {} will do: name one", dep["name"])));
        faults
            .into_iter()
            .map(|fault| format!("{name} {}: {fault}", package["version"].as_str().unwrap_or("?")))
            .collect()
    }
}

/// Checks the workspace and fuzz/, whose Cargo.lock must both be up to date.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let text = std::fs::read_to_string(workspace.root.join("deny.toml")).context("reading deny.toml")?;
    let rules = Rules::read(&text)?;
    let (mut faults, mut count) = (Vec::new(), 0);
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        for package in workspace.metadata(manifest)?["packages"].as_array().into_iter().flatten() {
            count += 1;
            faults.extend(rules.faults(package).into_iter().map(|fault| format!("{manifest}: {fault}")));
        }
    }
    if !faults.is_empty() {
        bail!("{} faults\n  {}", faults.len(), faults.join("\n  "));
    }
    Ok(Outcome::Passed(format!("{count} packages")))
}

/// A licence expression (SPDX; the old `A/B` means `A OR B`), read by recursive descent: or, and, one.
struct Expression<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        for part in text.split_whitespace() {
            let mut rest = part;
            while let Some(at) = rest.find(['(', ')', '/']) {
                words.extend([&rest[..at], &rest[at..=at]]);
                rest = &rest[at + 1..];
            }
            words.push(rest);
        }
        words.retain(|word| !word.is_empty());
        Expression { words, at: 0 }
    }

    /// Whether the expression can be met with these licences; one that can't be read can't be met.
    fn met(mut self, allowed: &[String]) -> bool {
        self.or(allowed) && self.at == self.words.len()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|next| *next == word);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, allowed: &[String]) -> bool {
        let mut met = self.and(allowed);
        while self.take("OR") || self.take("/") {
            met |= self.and(allowed);
        }
        met
    }

    fn and(&mut self, allowed: &[String]) -> bool {
        let mut met = self.one(allowed);
        while self.take("AND") {
            met &= self.one(allowed);
        }
        met
    }

    fn one(&mut self, allowed: &[String]) -> bool {
        if self.take("(") {
            return self.or(allowed) & self.take(")");
        }
        let Some(name) = self.words.get(self.at) else { return false };
        self.at += 1;
        let mut name = (*name).to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at).copied().unwrap_or_default());
            self.at += 1;
        }
        allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, Rules};
    use serde_json::json;

    #[test]
    fn licence_expressions() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(String::from);
        for (text, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT/GPL-3.0", true),
            ("GPL-3.0 OR Apache-2.0", true),
            ("GPL-3.0 AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("Apache-2.0 WITH Other-exception", false),
            ("MIT OR", true),
            ("MIT MIT", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(Expression::new(text).met(&allowed), met, "{text}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let rules = Rules::read(
            "licenses.allow = ['MIT']\nsources.allow-registry = ['https://index']\nbans.deny = [{ crate = 'bad' }]",
        )
        .unwrap();
        let good = json!({"name": "a", "version": "1.0.0", "license": "MIT", "source": "registry+https://index"});
        assert_eq!(rules.faults(&good), [""; 0]);
        let bad = json!({"name": "bad", "version": "1.0.0", "license": "GPL-3.0", "source": "git+https://x"});
        let found = rules.faults(&bad).join("\n");
        assert!(["GPL-3.0", "git+https://x", "banned"].iter().all(|part| found.contains(part)), "{found}");
        let wild = json!({"name": "a", "version": "0.1.0", "license": "MIT", "source": null,
            "dependencies": [{"name": "serde", "req": "*"}]});
        assert_eq!(rules.faults(&wild).len(), 1);
    }
}
