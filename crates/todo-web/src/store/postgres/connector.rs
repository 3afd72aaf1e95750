//! Opens connections with the current settings.
//!
//! The settings are read again for each connection: an updated Secret changes the file of a running pod.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures::future::BoxFuture;
use http_service::sync::lock;
use secrecy::ExposeSecret as _;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use pg_ready::tls::Mode;

use super::error;
use crate::settings::PostgresSettings;

/// Reads the settings again. Returns `None` if they are invalid now, or name another store.
pub type Reload = Box<dyn Fn() -> Option<PostgresSettings> + Send + Sync>;

/// Settings in the form that connections need.
#[derive(Clone)]
struct Target {
    /// Without the startup parameter `options`, which poolers reject.
    config: Config,
    options: String,
    tls: MakeRustlsConnect,
}

pub(super) struct Connector {
    target: Mutex<Target>,
    reload: Option<Reload>,
    limit: Duration,
    /// `true` behind a pooler that gives each transaction another connection: sessions have no state then.
    is_pooled: AtomicBool,
}

impl Connector {
    pub(super) fn new(
        settings: &PostgresSettings,
        reload: Option<Reload>,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            target: Mutex::new(Target::new(settings, limit)?),
            reload,
            limit,
            is_pooled: AtomicBool::new(false),
        })
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Relaxed)
    }

    /// Stops to use prepared statements and startup options.
    pub(super) fn assume_pooler(&self, reason: &str) {
        if !self.is_pooled.swap(true, Ordering::Relaxed) {
            tracing::info!(reason, "a pooler is assumed: statements are not prepared");
        }
    }

    /// Current configuration, with which a database can be created.
    pub(super) fn config(&self) -> Config {
        lock(&self.target).config.clone()
    }

    pub(super) fn tls(&self) -> MakeRustlsConnect {
        lock(&self.target).tls.clone()
    }

    /// Reads the settings again; keeps the last valid ones if that fails.
    fn refresh(&self) -> Target {
        let settings = self.reload.as_ref().and_then(|reload| reload());
        let target = settings.map(|settings| Target::new(&settings, self.limit));
        let mut current = lock(&self.target);
        match target {
            Some(Ok(target)) => *current = target,
            Some(Err(error)) => tracing::warn!(%error, "new settings of the database are invalid"),
            None => {}
        }
        current.clone()
    }

    async fn open(self: Arc<Self>) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let connector = self.clone();
        // Reading files blocks.
        let refreshed = tokio::task::spawn_blocking(move || connector.refresh()).await;
        let target = refreshed.unwrap_or_else(|_| lock(&self.target).clone());
        if self.is_pooled() {
            return connect(&target.config, &target).await;
        }
        let mut config = target.config.clone();
        match connect(config.options(&target.options), &target).await {
            Err(error) if error::rejects_options(&error) => {
                self.assume_pooler("it rejects startup options");
                connect(&target.config, &target).await
            }
            connected => connected,
        }
    }
}

/// The pool's owner of a connector.
pub(super) struct SharedConnector(pub(super) Arc<Connector>);

impl Connect for SharedConnector {
    fn connect(
        &self,
        _: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(self.0.clone().open())
    }
}

impl Target {
    fn new(settings: &PostgresSettings, limit: Duration) -> anyhow::Result<Self> {
        let tls = MakeRustlsConnect::new(settings.tls.client_config()?);
        let config = config(settings, limit);
        let options = format!(
            "-c statement_timeout={0} -c lock_timeout={0}",
            // Before the client's timeout: a server that is only slow cancels its statement, and the connection stays usable.
            (limit - limit / 8).as_millis()
        );
        Ok(Self {
            config,
            options,
            tls,
        })
    }
}

async fn connect(
    config: &Config,
    target: &Target,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    let (client, connection) = config.connect(target.tls.clone()).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the database lost");
        }
    });
    Ok((client, task))
}

fn config(settings: &PostgresSettings, limit: Duration) -> Config {
    let mut config = Config::new();
    for host in &settings.hosts {
        config.host(host);
    }
    for port in &settings.ports {
        config.port(*port);
    }
    if let Some(password) = &settings.password {
        config.password(password.expose_secret());
    }
    let hosts = u32::try_from(settings.hosts.len()).unwrap_or(u32::MAX);
    config
        .user(&settings.user)
        .dbname(&settings.database)
        .application_name("todo-web")
        .target_session_attrs(settings.target_session_attrs)
        // A host that does not respond leaves time for the others.
        .connect_timeout(limit / hosts.max(1))
        // Dead connections are detected without a statement, too.
        .keepalives_idle(Duration::from_secs(10))
        .ssl_mode(match settings.tls.mode {
            Mode::Disable => SslMode::Disable,
            // The driver has no `allow`; `prefer` accepts the same servers and encrypts where possible.
            Mode::Allow | Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
    config
}
