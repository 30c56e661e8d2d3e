//! Both connections to a Redis server, one that speaks and one that hears, ready for use; and which server that is.

use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream},
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    CHANNEL,
    login::log_in,
    problem::Problem,
    target::{Address, Login, Manners, Servers, Target},
    wire::{self, Wire},
};

/// Two connections, since in the protocol that every version of Redis speaks a subscriber sends no other commands.
pub(super) struct Link {
    /// The server's address.
    pub(super) place: String,
    pub(super) speaker: Speaker,
    pub(super) hearer: Hearer,
    pub(super) messages: PubSubStream,
}

/// The connection for commands.
pub(super) struct Speaker {
    place: String,
    manners: Manners,
    connection: MultiplexedConnection,
    /// Moves the bytes for as long as the speaker lives.
    _driver: AbortOnDropHandle<()>,
}

/// The connection that subscribes.
pub(super) struct Hearer {
    place: String,
    manners: Manners,
    sink: PubSubSink,
}

impl Link {
    /// Connects twice, subscribes and sends a first notice: it shows that we may, and makes up for one that was lost with
    /// an earlier connection.
    pub(super) async fn open(target: &Target, node: &str) -> Result<Self, Problem> {
        let (speaker, address) = reach(target).await?;
        let (hearer, messages) = Hearer::connect(&address, target).await?;
        speaker.publish(node).await?;
        Ok(Self { place: address.to_string(), speaker, hearer, messages })
    }
}

/// Connects to the server that is to be used now.
async fn reach(target: &Target) -> Result<(Speaker, Address), Problem> {
    let mut problem = Problem::new("no address", "cannot be reached: name a server in REDIS_DSN");
    match &target.servers {
        Servers::Any(addresses) => {
            for address in addresses {
                match Speaker::connect(address, &target.login, &target.manners).await {
                    Ok(speaker) => return Ok((speaker, address.clone())),
                    Err(found) => problem = found,
                }
            }
        }
        Servers::Sentinel { sentinels, login, master, master_tls } => {
            for sentinel in sentinels {
                let found = match ask_sentinel(sentinel, login, &target.manners, master).await {
                    Ok((host, port)) => {
                        let address = Address::Tcp { host, port, tls: *master_tls };
                        reach_master(&address, target).await.map(|speaker| (speaker, address))
                    }
                    Err(found) => Err(found),
                };
                match found {
                    Ok(found) => return Ok(found),
                    // Another sentinel may know of a newer master.
                    Err(found) => problem = found,
                }
            }
        }
    }
    Err(problem)
}

/// Where a sentinel says that the master is.
async fn ask_sentinel(
    sentinel: &Address,
    login: &Login,
    manners: &Manners,
    master: &str,
) -> Result<(String, u16), Problem> {
    let speaker = Speaker::connect(sentinel, login, manners).await?;
    let answer = speaker.ask("SENTINEL", redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master)).await?;
    if answer == Value::Nil {
        let what = format!("is a sentinel that knows no master {master}: use the name of its line sentinel monitor");
        return Err(Problem::new(&speaker.place, what));
    }
    redis::from_redis_value(answer).map_err(|_| Problem::strange(&speaker.place))
}

/// Sentinels may still name a master that has become a replica, and notices sent to a replica reach no other node.
async fn reach_master(address: &Address, target: &Target) -> Result<Speaker, Problem> {
    let speaker = Speaker::connect(address, &target.login, &target.manners).await?;
    // The right to ask is not given to everybody; then the sentinel must be believed.
    let role = speaker.try_asking(&redis::cmd("ROLE")).await.ok();
    match role {
        Some(Value::Array(parts)) if parts.first() == Some(&Value::BulkString(b"slave".to_vec())) => {
            Err(Problem::new(&speaker.place, "is called master by a sentinel and is a replica: the fail-over goes on"))
        }
        _ => Ok(speaker),
    }
}

impl Speaker {
    async fn connect(address: &Address, login: &Login, manners: &Manners) -> Result<Self, Problem> {
        let (wire, place) = open_wire(address, login, manners).await?;
        let limits = AsyncConnectionConfig::new().set_response_timeout(Some(manners.answer_within));
        let made = MultiplexedConnection::new_with_config(&all_is_said(), wire, limits).await;
        let (connection, driver) = made.map_err(|error| explain(&place, "PING", &error, manners))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        Ok(Self { place, manners: manners.clone(), connection, _driver: driver })
    }

    /// Sends a notice of `node`.
    pub(super) async fn publish(&self, node: &str) -> Result<(), Problem> {
        self.ask("PUBLISH", redis::cmd("PUBLISH").arg(CHANNEL).arg(node)).await.map(drop)
    }

    pub(super) async fn ping(&self) -> Result<(), Problem> {
        self.ask("PING", &redis::cmd("PING")).await.map(drop)
    }

    /// How many members a set has; `None` where the server does not tell us.
    pub(super) async fn members_of(&self, set: &str) -> Result<Option<u64>, Problem> {
        match self.try_asking(redis::cmd("SCARD").arg(set)).await {
            Ok(Value::Int(members)) => Ok(u64::try_from(members).ok()),
            Err(error) if error.code().is_none() => Err(explain(&self.place, "SCARD", &error, &self.manners)),
            _ => Ok(None),
        }
    }

    async fn ask(&self, name: &str, command: &Cmd) -> Result<Value, Problem> {
        self.try_asking(command).await.map_err(|error| explain(&self.place, name, &error, &self.manners))
    }

    async fn try_asking(&self, command: &Cmd) -> RedisResult<Value> {
        self.manners.count_command();
        self.connection.clone().send_packed_command(command).await.and_then(Value::extract_error)
    }
}

impl Hearer {
    async fn connect(address: &Address, target: &Target) -> Result<(Self, PubSubStream), Problem> {
        let manners = &target.manners;
        let (wire, place) = open_wire(address, &target.login, manners).await?;
        let made = PubSub::new(&all_is_said(), wire).await;
        let (mut sink, messages) = made.map_err(|error| explain(&place, "SUBSCRIBE", &error, manners))?.split();
        manners.count_command();
        in_time(&place, "SUBSCRIBE", manners, sink.subscribe(CHANNEL)).await?;
        Ok((Self { place, manners: manners.clone(), sink }, messages))
    }

    pub(super) async fn ping(&mut self) -> Result<(), Problem> {
        self.manners.count_command();
        in_time(&self.place, "PING", &self.manners, self.sink.ping::<Value>()).await.map(drop)
    }
}

async fn open_wire(address: &Address, login: &Login, manners: &Manners) -> Result<(Wire, String), Problem> {
    let place = address.to_string();
    let mut wire = wire::connect(address, manners).await?;
    log_in(&mut wire, &place, login, manners).await?;
    Ok((wire, place))
}

/// The library is to send nothing on its own: [`log_in`] has said it all.
fn all_is_said() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

async fn in_time<T>(
    place: &str,
    name: &str,
    manners: &Manners,
    asked: impl Future<Output = RedisResult<T>>,
) -> Result<T, Problem> {
    match timeout(manners.answer_within, asked).await {
        Ok(answer) => answer.map_err(|error| explain(place, name, &error, manners)),
        Err(_) => Err(silent(place, name, manners)),
    }
}

fn silent(place: &str, name: &str, manners: &Manners) -> Problem {
    Problem::silent(place, &format!("the command {name}"), manners.answer_within)
}

/// For commands without a secret in them.
fn explain(place: &str, name: &str, error: &RedisError, manners: &Manners) -> Problem {
    match error.code() {
        Some(code) => {
            let text = format!("{code} {}", error.detail().unwrap_or_default());
            Problem::refused(place, name, text.trim_end(), true)
        }
        None if error.is_timeout() => silent(place, name, manners),
        None if error.is_io_error() => Problem::closed(place, false),
        None => Problem::strange(place),
    }
}
