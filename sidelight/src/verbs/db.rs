//! `sidelight db`: looks into a collector's database, checks it, makes it smaller, copies it. It asks no collector.

mod print;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sidelight_collector::settings::Database;
use sidelight_collector::store::admin::Admin;

use crate::cli::TableOrJson;
use crate::exit::Exit;
use crate::output::{print, print_json};
use crate::serve::collector::DATABASE_FILE;
use crate::serve::folder::user_folder;

#[derive(Debug, Args)]
pub struct DbArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Read everything and tell what does not fit together; ends with 1 when something is found
    Check {
        #[arg(short, long, value_enum, default_value = "table")]
        output: TableOrJson,
        #[command(flatten)]
        which: Which,
    },
    /// Show what takes how much room
    Stats {
        #[arg(short, long, value_enum, default_value = "table")]
        output: TableOrJson,
        /// Every table instead of their sums
        #[arg(long)]
        tables: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Give back the room that deleted data left; beside a collector only as far as that does not hold it up
    Compact {
        #[command(flatten)]
        which: Which,
    },
    /// Write one consistent state into a new file (an SQLite database, also of a Postgres one); the collector may run
    Backup {
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Copy a backup into a new database; no collector may use it
    Restore {
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Copy everything into a new database of either kind, all of it or nothing; a collector may use the source
    Copy {
        /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME
        #[arg(long, value_name = "URL", env = "SIDELIGHT_FROM", hide_env_values = true)]
        from: String,
        /// sqlite:PATH of a file that is not there yet, or the URL of an empty Postgres database
        #[arg(long, value_name = "URL", env = "SIDELIGHT_TO", hide_env_values = true)]
        to: String,
    },
}

/// The same flags as the collector's.
#[derive(Debug, Args)]
pub struct Which {
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME, instead of the one in the folder
    #[arg(long, env = "SIDELIGHT_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// Folder with the collector's SQLite database [default: the collector's own]
    #[arg(long, env = "SIDELIGHT_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Which {
    fn database(&self) -> Result<Database, Exit> {
        if let Some(url) = &self.database {
            return parse("--database", url);
        }
        let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let folder = self.data.clone().or_else(|| user_folder("collector", env));
        let folder =
            folder.ok_or_else(|| Exit::settings("there is no HOME to look for the data in; name a folder with --data"))?;
        Ok(Database::Sqlite(folder.join(DATABASE_FILE)))
    }
}

fn parse(flag: &str, url: &str) -> Result<Database, Exit> {
    Database::parse(url).map_err(|error| Exit::settings(format!("{flag}: {error}")))
}

pub async fn run(args: DbArgs) -> Result<(), Exit> {
    match args.verb {
        Verb::Check { output, which } => check(&which.database()?, output).await,
        Verb::Stats { output, tables, which } => stats(&which.database()?, output, tables).await,
        Verb::Compact { which } => compact(&which.database()?).await,
        Verb::Backup { file, which } => backup(&which.database()?, &file).await,
        Verb::Restore { file, which } => copy(&Database::Sqlite(file), &which.database()?).await,
        Verb::Copy { from, to } => copy(&parse("--from", &from)?, &parse("--to", &to)?).await,
    }
}

async fn check(database: &Database, output: TableOrJson) -> Result<(), Exit> {
    let admin = Admin::look(database).await?;
    let report = admin.check().await.with_context(|| format!("{} cannot be checked to its end", admin.place()));
    admin.close().await;
    let report = report?;
    match output {
        TableOrJson::Json => print_json(&report)?,
        TableOrJson::Table => print(&print::findings(&report))?,
    }
    if report.findings.is_empty() { Ok(()) } else { Err(Exit::Told) }
}

async fn stats(database: &Database, output: TableOrJson, tables: bool) -> Result<(), Exit> {
    let admin = Admin::look(database).await?;
    let stats = admin.stats().await;
    admin.close().await;
    let stats = stats?;
    match output {
        TableOrJson::Json => print_json(&stats)?,
        TableOrJson::Table if tables => print(&print::tables(&stats))?,
        TableOrJson::Table => print(&print::families(&stats))?,
    }
    Ok(())
}

async fn compact(database: &Database) -> Result<(), Exit> {
    let admin = Admin::open(database).await?;
    let done = admin.compact().await;
    admin.close().await;
    let done = done?;
    let (before, after) = (print::size(done.bytes_before), print::size(done.bytes_after));
    print(&format!("{} small blocks merged; {before} before, {after} after\n", done.merged_blocks))?;
    if let Some(left_out) = done.left_out {
        print(&format!("{left_out}\n"))?;
    }
    Ok(())
}

async fn backup(database: &Database, file: &std::path::Path) -> Result<(), Exit> {
    let admin = Admin::look(database).await?;
    let copied = admin.backup(file, &mut tell).await;
    admin.close().await;
    let copied = copied?;
    print(&format!("{} rows of {} tables in {}\n", copied.rows, copied.tables, file.display()))?;
    Ok(())
}

async fn copy(from: &Database, to: &Database) -> Result<(), Exit> {
    let admin = Admin::look(from).await?;
    let copied = admin.copy_to(to, &mut tell).await;
    admin.close().await;
    let copied = copied?;
    print(&format!("{} rows of {} tables copied, and compared with what was read\n", copied.rows, copied.tables))?;
    Ok(())
}

/// How far it is, for whoever watches.
fn tell(table: &str, rows: u64) {
    if rows > 0 {
        eprintln!("{table}: {rows} rows");
    }
}
