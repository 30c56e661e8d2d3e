//! Builds everything once, runs it, and drains it.
pub(crate) fn run(config: crate::config::Config) -> anyhow::Result<()> {
    anyhow::bail!("the server is not wired yet: {config:?}")
}
