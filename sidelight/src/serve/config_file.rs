//! A file with the collector's settings: the flags' names, below flags and environment in precedence.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use sidelight_mesh::nearest::nearest;

use crate::cli::Cli;
use crate::exit::Exit;

const COLLECTOR: &str = "collector";
const CONFIG: &str = "config";
const PRINT: &str = "print-config";
const CONFIG_VARIABLE: &str = "SIDELIGHT_CONFIG";
/// A larger file is not one of settings.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the arguments; wrong ones end the process, as clap does it.
pub fn parse(arguments: &[OsString]) -> Result<Cli, Exit> {
    let mut command = Cli::command();
    if let Some(path) = named_file(arguments) {
        let text = read(&path).map_err(Exit::settings)?;
        command = with_file(command, &path, &text).map_err(Exit::Settings)?;
    }
    let matches = command.get_matches_from(arguments);
    Cli::from_arg_matches(&matches).map_err(|error| error.exit())
}

/// Before clap sees anything: what the file says are defaults, and clap wants those first.
fn named_file(arguments: &[OsString]) -> Option<PathBuf> {
    let at = arguments.iter().position(|argument| argument == COLLECTOR)?;
    let mut rest = arguments[at + 1..].iter();
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read --config `{}`: {error}", path.display());
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(format!("--config `{}` is larger than {FILE_BYTES_MAX} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The command with the file's values for defaults; every mistake with the line it is in.
fn with_file(command: Command, path: &Path, text: &str) -> Result<Command, Vec<String>> {
    let at = |line: u64| format!("{}:{line}", path.display());
    let entries = match serde_saphyr::from_str::<Option<Entries>>(text) {
        Ok(entries) => entries.map(|entries| entries.0).unwrap_or_default(),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            let message = error.without_snippet().to_string();
            return Err(vec![format!("{}: {}", at(line), message.split(" at line ").next().unwrap_or(&message))]);
        }
    };
    let mut mistakes = Vec::new();
    let mut defaults: Vec<(String, Vec<String>)> = Vec::new();
    for Entry { name, line, value } in entries {
        match check(&command, &name, &value) {
            Ok(values) if values.is_empty() => {}
            Ok(values) => defaults.push((name, values)),
            Err(mistake) => mistakes.push(format!("{}: {mistake}", at(line))),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(command.mut_subcommand(COLLECTOR, |collector| {
        defaults.into_iter().fold(collector, |collector, (name, values)| set_default(collector, &name, values))
    }))
}

fn set_default(collector: Command, name: &str, values: Vec<String>) -> Command {
    let Some(id) = find(&collector, name).map(|argument| argument.get_id().clone()) else { return collector };
    collector.mut_arg(id, |argument| {
        // `--help` shows defaults.
        let is_secret = argument.is_hide_env_values_set();
        argument.default_values(values).hide_default_value(is_secret)
    })
}

/// The values of one setting, as if they had been given as its flag.
fn check(command: &Command, name: &str, value: &Setting) -> Result<Vec<String>, String> {
    let collector = command.find_subcommand(COLLECTOR).ok_or("there is no collector")?;
    let Some(argument) = find(collector, name).filter(|argument| is_setting(argument)) else {
        let near = nearest(name, settings(collector).filter_map(Arg::get_long));
        let hint = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no setting `{name}`{hint}"));
    };
    let values = match value {
        Setting::Unset => return Ok(Vec::new()),
        Setting::One(value) => vec![value.clone()],
        Setting::List(values) if is_list(argument) => values.clone(),
        Setting::List(_) => return Err(format!("`{name}` takes one value, not a list")),
    };
    if !argument.get_action().takes_values() {
        return match values[0].as_str() {
            "true" => Ok(values),
            "false" => Ok(Vec::new()),
            other => Err(format!("`{name}` is true or false, not `{other}`")),
        };
    }
    read_values(argument, name, &values).map(|()| values)
}

/// Alone, and without the environment, so that the message is about this value.
fn read_values(argument: &Arg, name: &str, values: &[String]) -> Result<(), String> {
    let names = argument.get_value_names().unwrap_or_default().iter().cloned();
    let alone = Arg::new("setting")
        .long(name.to_owned())
        .action(argument.get_action().clone())
        .value_parser(argument.get_value_parser().clone())
        .value_names(names);
    let flags = values.iter().map(|value| format!("--{name}={value}"));
    let read = Command::new(COLLECTOR).no_binary_name(true).arg(alone).try_get_matches_from(flags);
    read.map(|_| ()).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    })
}

fn find<'a>(collector: &'a Command, name: &str) -> Option<&'a Arg> {
    collector.get_arguments().find(|argument| argument.get_long() == Some(name))
}

fn settings(collector: &Command) -> impl Iterator<Item = &Arg> {
    collector.get_arguments().filter(|argument| is_setting(argument) && !argument.is_hide_set())
}

fn is_setting(argument: &Arg) -> bool {
    argument.get_long().is_some_and(|name| ![CONFIG, PRINT, "help", "version"].contains(&name))
}

fn is_list(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Every setting with its default, as such a file.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(
        "# Every setting of `sidelight collector` with its default. A flag or a variable SIDELIGHT_<NAME> overrules the file;\n\
         # a setting without a value is not set. Printed by `sidelight collector --print-config`.\n\
         # What every command knows (--log-level, --log-format, --own-traces) is given as a flag or a variable.\n",
    );
    let command = Cli::command();
    let Some(collector) = command.find_subcommand(COLLECTOR) else { return text };
    for argument in settings(collector) {
        let name = argument.get_long().unwrap_or_default();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let words = argument.get_possible_values();
        let words: Vec<&str> = words.iter().map(clap::builder::PossibleValue::get_name).collect();
        let choice = if words.is_empty() || !argument.get_action().takes_values() {
            String::new()
        } else {
            format!(" ({})", words.join(", "))
        };
        text.push_str(&format!("\n# {}{choice}\n{name}:{}\n", help.replace('\n', "\n# "), default_of(argument)));
    }
    text
}

fn default_of(argument: &Arg) -> String {
    let values: Vec<String> = argument.get_default_values().iter().map(|value| scalar(&value.to_string_lossy())).collect();
    match values.as_slice() {
        [] if !argument.get_action().takes_values() => " false".to_owned(),
        [] if is_list(argument) => " []".to_owned(),
        [] => String::new(),
        [value] if !is_list(argument) => format!(" {value}"),
        values => format!(" [{}]", values.join(", ")),
    }
}

/// Quoted where YAML would read it as something else.
fn scalar(text: &str) -> String {
    let is_plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/:-".contains(c)) && !text.ends_with(':');
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[derive(Debug)]
struct Entry {
    name: String,
    line: u64,
    value: Setting,
}

#[derive(Debug)]
enum Setting {
    Unset,
    One(String),
    List(Vec<String>),
}

#[derive(Debug)]
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings, each as `name: value`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    entries.push(Entry { name: key.value, line: key.referenced.line(), value: map.next_value()? });
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Setting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or a list of values")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Setting, E> {
                Ok(Setting::Unset)
            }
            fn visit_none<E: de::Error>(self) -> Result<Setting, E> {
                Ok(Setting::Unset)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Setting, D::Error> {
                Setting::deserialize(deserializer)
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Setting, E> {
                Ok(Setting::One(value.to_string()))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Setting, E> {
                Ok(Setting::One(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Setting, E> {
                Ok(Setting::One(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Setting, E> {
                Ok(Setting::One(value.to_string()))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Setting, E> {
                Ok(Setting::One(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Setting, A::Error> {
                let mut values = Vec::new();
                while let Some(item) = items.next_element::<Setting>()? {
                    match item {
                        Setting::One(value) => values.push(value),
                        Setting::Unset | Setting::List(_) => return Err(de::Error::custom("a list holds values only")),
                    }
                }
                Ok(Setting::List(values))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn parsed(file: &str, flags: &[&str]) -> Result<cli::CollectorArgs, Vec<String>> {
        let command = with_file(Cli::command(), Path::new("x.yaml"), file)?;
        let arguments = ["sidelight", "collector"].iter().chain(flags);
        let matches = command.try_get_matches_from(arguments).map_err(|error| vec![error.to_string()])?;
        match Cli::from_arg_matches(&matches).map_err(|error| vec![error.to_string()])?.command {
            cli::Command::Collector(args) => Ok(*args),
            _ => Err(vec!["another command".to_owned()]),
        }
    }

    #[test]
    fn the_file_stands_below_the_flags() {
        let file = "scrape-interval: 3s\nlisten: 127.0.0.1:7\ntrace-sampling: 12.5\nhost: [a.example, b.example]\nauth: none\n";
        let args = parsed(file, &["--listen=127.0.0.1:8"]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!((args.listen.port(), args.scrape_interval.as_secs()), (8, 3));
        assert_eq!((args.trace_sampling, args.auth), (12.5, cli_auth_none()));
        assert_eq!(args.hosts, ["a.example", "b.example"]);
    }

    fn cli_auth_none() -> crate::serve::collector::Auth {
        crate::serve::collector::Auth::None
    }

    #[test]
    fn mistakes_name_their_lines() {
        let file =
            "listen: 127.0.0.1:7\n\nscrape-intervall: 3s\nxds: nowhere\nzipkin: [127.0.0.1:1, 127.0.0.1:2]\nconfig: y.yaml\n";
        let Err(mistakes) = parsed(file, &[]) else { panic!("accepted") };
        assert_eq!(
            mistakes,
            [
                "x.yaml:3: there is no setting `scrape-intervall`; did you mean `scrape-interval`?",
                "x.yaml:4: invalid value 'nowhere' for '--xds <IP:PORT>': invalid socket address syntax",
                "x.yaml:5: `zipkin` takes one value, not a list",
                "x.yaml:6: there is no setting `config`",
            ]
        );
        let Err(mistakes) = parsed("listen: 1\nlisten: 2\n", &[]) else { panic!("accepted") };
        assert!(mistakes[0].starts_with("x.yaml:2: "), "{mistakes:?}");
        assert!(parsed("- a\n", &[]).is_err());
    }

    #[test]
    fn empty_files_and_empty_settings_set_nothing() {
        for file in ["", "# nothing\n", "token:\nzipkin-advertise: ~\n"] {
            let args = parsed(file, &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
            assert_eq!((args.token, args.zipkin_advertise), (None, None), "{file}");
        }
    }

    #[test]
    fn what_flags_ask_of_each_other_holds_in_a_file_too() {
        let args = parsed("door-tls-cert: c.pem\n", &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let mut mistakes = Vec::new();
        assert!(args.doors.settings(&mut mistakes).security.tls.is_none());
        assert_eq!(mistakes, ["--door-tls-cert needs --door-tls-key"]);
        let args = parsed("door-tls-cert: c.pem\n", &["--door-tls-key=k.pem"]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert!(args.doors.settings(&mut Vec::new()).security.tls.is_some());
    }

    #[test]
    fn the_help_shows_no_secret_of_the_file() {
        let file = "token: a-secret-token-of-tests\nlisten: 127.0.0.7:7\n";
        let mut command = with_file(Cli::command(), Path::new("x.yaml"), file).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let collector = command.find_subcommand_mut(COLLECTOR).unwrap_or_else(|| panic!("no collector"));
        let help = collector.render_help().to_string();
        assert!(help.contains("127.0.0.7:7") && !help.contains("a-secret"), "{help}");
    }

    #[test]
    fn the_file_is_named_behind_the_command() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(named_file(&words(&["sidelight", "collector", "--config", "a.yaml"])), Some("a.yaml".into()));
        assert_eq!(named_file(&words(&["sidelight", "--lifeline", "collector", "--config=b.yaml"])), Some("b.yaml".into()));
        assert_eq!(named_file(&words(&["sidelight", "sidecar", "--config", "a.yaml"])), None);
    }

    /// `cargo run -p sidelight -- collector --print-config > deploy/sidelight.yaml` writes it anew.
    #[test]
    fn the_sample_lists_every_setting_and_is_the_default() {
        let kept = include_str!("../../../deploy/sidelight.yaml");
        assert_eq!(kept, sample(), "deploy/sidelight.yaml is not what `sidelight collector --print-config` prints");
        let from_file = parsed(kept, &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let from_nothing = parsed("", &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!(format!("{from_file:?}"), format!("{from_nothing:?}"));
    }
}
