//! TCP proxy between the application and a server: stalls connections, closes them, moves to another server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Treatment of the connections that are open when the command is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Forward,
    /// Keeps the connection open and forwards nothing, as a firewall that drops packets.
    Stall,
    Close,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<watch::Sender<SocketAddr>>,
    commands: Arc<watch::Sender<Arc<watch::Sender<Command>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Forwards new connections to a port of the loopback address.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let target = Arc::new(watch::Sender::new(SocketAddr::from(([127, 0, 0, 1], port))));
        let generation = Arc::new(watch::Sender::new(Command::Forward));
        let commands = Arc::new(watch::Sender::new(generation));
        let (targets, generations) = (target.clone(), commands.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, commands) = (*targets.borrow(), generations.borrow().subscribe());
                tokio::spawn(forward(client, target, commands));
            }
        });
        Self {
            port: own_port,
            target,
            commands,
            task,
        }
    }

    /// Stalls all open connections; new ones are forwarded.
    pub(crate) fn stall_open_connections(&self) {
        self.command(Command::Stall);
    }

    /// Closes all open connections; new ones are forwarded.
    pub(crate) fn close_open_connections(&self) {
        self.command(Command::Close);
    }

    /// Forwards new connections to another port; open ones stay.
    pub(crate) fn move_to(&self, port: u16) {
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        self.target.send_replace(target);
    }

    fn command(&self, command: Command) {
        let next = Arc::new(watch::Sender::new(Command::Forward));
        self.commands.send_replace(next).send_replace(command);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    mut commands: watch::Receiver<Command>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let given = async {
        match commands
            .wait_for(|command| *command != Command::Forward)
            .await
        {
            Ok(command) => *command,
            // The proxy was dropped.
            Err(_) => Command::Close,
        }
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        command = given => {
            if command == Command::Stall {
                std::future::pending::<()>().await;
            }
        }
    }
}
