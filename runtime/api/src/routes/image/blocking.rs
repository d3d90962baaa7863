//! The image store blocks, so it is used from threads that may.

use crate::failure::Failure;

/// Runs `work` where it may block.
pub async fn blocking<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}
