//! Why the agent could not start, or could not clean up.

use std::path::PathBuf;

/// An error of this crate; the source says the rest.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A directory or file of the node could not be made, read or removed.
    #[error("could not {operation} {}", path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    /// A value of the configuration is wrong.
    #[error("{field} {value:?} is no range of addresses, such as 10.244.0.0/16")]
    Range { field: &'static str, value: String },
    /// The pod network could not be made or removed.
    #[error("could not set up the pod network")]
    Network(#[from] kelson_network::NetworkError),
    /// The image store could not be opened.
    #[error("could not open the image store")]
    Images(#[from] kelson_images::ImageError),
    /// Running pods could not be listed or removed.
    #[error("could not reach the pods that run")]
    Runtime(#[from] kelson_runtime::Error),
}

/// Puts the operation and the path to an I/O error.
pub(crate) fn file<'a>(
    operation: &'static str,
    path: &'a std::path::Path,
) -> impl FnOnce(std::io::Error) -> AgentError + 'a {
    move |source| AgentError::File { operation, path: path.to_owned(), source }
}

/// An error and its sources in one line, `outer: inner`.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
