//! The command line of the sample: which service to be, where to listen, whom to ask.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::Route;
use crate::load::{self, LoadConfig, LoadReport};
use crate::{details, httpbin, productpage, ratings, reviews};

/// One service of the sample, or its load client.
#[derive(Clone, Debug, Subcommand)]
pub enum App {
    /// The page that asks the others
    Productpage {
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        outbound: Outbound,
        #[arg(long, default_value = "http://details:9080", value_name = "URL")]
        details: String,
        #[arg(long, default_value = "http://reviews:9080", value_name = "URL")]
        reviews: String,
        #[arg(long, default_value = "http://ratings:9080", value_name = "URL")]
        ratings: String,
    },
    /// Author, pages, publisher
    Details {
        #[command(flatten)]
        listen: Listen,
    },
    /// Reviews, without stars (v1), with black (v2) or red ones (v3)
    #[command(disable_version_flag = true)]
    Reviews {
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        outbound: Outbound,
        #[arg(long, default_value = "v1", value_parser = parse_version, value_name = "v1|v2|v3")]
        version: reviews::Version,
        #[arg(long, default_value = "http://ratings:9080", value_name = "URL")]
        ratings: String,
        /// Name that the answers give
        #[arg(long, env = "HOSTNAME", default_value = "reviews")]
        pod_name: String,
    },
    /// Stars
    Ratings {
        #[command(flatten)]
        listen: Listen,
    },
    /// Echoes requests; answers with an ordered status, delay or size
    Httpbin {
        #[command(flatten)]
        listen: Listen,
    },
    /// Sends requests at a steady pace and counts the answers
    Load(Load),
}

#[derive(Clone, Debug, Args)]
pub struct Listen {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9080", value_name = "IP:PORT")]
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Args)]
pub struct Outbound {
    /// HTTP proxy for outgoing calls
    #[arg(long, env = "HTTP_PROXY", default_value = "", value_name = "URL")]
    pub proxy: String,
}

#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Where to; several are asked in turn
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<Uri>,
    /// Requests per second; 0 is as fast as the concurrency allows
    #[arg(long, default_value_t = 10.0)]
    pub rps: f64,
    /// Most requests in flight
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub concurrency: usize,
    /// Stop after so many requests
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Seconds that one request may take
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Header of every request, `name: value`
    #[arg(long = "header", short = 'H', value_parser = parse_header, value_name = "HEADER")]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Print the counts so far every so many seconds, on stderr
    #[arg(long, value_name = "SECONDS")]
    pub progress: Option<f64>,
    /// The final report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub outbound: Outbound,
}

/// Runs until `shutdown`, or until the load client is done.
///
/// # Errors
/// The settings are wrong, or the address cannot be listened on.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    match app {
        App::Productpage { listen, outbound, details, reviews, ratings } => {
            let route = outbound.route()?;
            let config = productpage::Config { details_url: details, reviews_url: reviews, ratings_url: ratings, route };
            productpage::serve(listen.bind().await?, config, shutdown).await?;
        }
        App::Details { listen } => details::serve(listen.bind().await?, shutdown).await?,
        App::Reviews { listen, outbound, version, ratings, pod_name } => {
            let route = outbound.route()?;
            let config = reviews::Config { ratings_url: ratings, route, pod_name, ..reviews::Config::new(version) };
            reviews::serve(listen.bind().await?, config, shutdown).await?;
        }
        App::Ratings { listen } => ratings::serve(listen.bind().await?, shutdown).await?,
        App::Httpbin { listen } => httpbin::serve(listen.bind().await?, shutdown).await?,
        App::Load(load) => print_report(&load::run(load.config()?, shutdown).await, load.json)?,
    }
    Ok(())
}

impl Listen {
    async fn bind(&self) -> anyhow::Result<TcpListener> {
        TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))
    }
}

impl Outbound {
    fn route(&self) -> anyhow::Result<Route> {
        Ok(Route::parse(&self.proxy)?)
    }
}

impl Load {
    fn config(&self) -> anyhow::Result<LoadConfig> {
        let seconds = |value: f64, flag: &str| {
            Duration::try_from_secs_f64(value).with_context(|| format!("--{flag} takes seconds, not {value}"))
        };
        let progress = self.progress.map(|every| seconds(every, "progress")).transpose()?;
        Ok(LoadConfig {
            urls: self.urls.clone(),
            headers: self.headers.iter().cloned().collect::<HeaderMap>(),
            rps: (self.rps > 0.0).then_some(self.rps),
            concurrency: self.concurrency,
            count: self.count,
            timeout: seconds(self.timeout, "timeout")?,
            route: self.outbound.route()?,
            progress: progress.map(|every| (every, (|report| eprintln!("{report}")) as fn(&LoadReport))),
        })
    }
}

fn print_report(report: &LoadReport, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn parse_version(text: &str) -> Result<reviews::Version, String> {
    match text {
        "v1" => Ok(reviews::Version::V1),
        "v2" => Ok(reviews::Version::V2),
        "v3" => Ok(reviews::Version::V3),
        _ => Err("reviews exist as v1, v2 and v3".to_owned()),
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let value = value.trim().parse().map_err(|_| "the header's value has forbidden characters")?;
    Ok((name, value))
}
