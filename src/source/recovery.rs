//! What may help a source that has stopped giving what it should. When to do which is decided above
//! (`pipeline/recovery.rs`); here are the words for it.

/// What kind of trouble an error is, for whoever looks for a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The device is there and silent.
    Stalled,
    /// The device does not answer, is not there, or is refused at the moment.
    Device,
    /// Only taking the camera from its power helps: what is tried before makes it worse.
    WornOut,
    /// Nothing that a program can do helps.
    Lasting,
}

/// Something to try, the mildest first. Each does what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remedy {
    /// Stop the stream and start it, with the network that the sensor has.
    Restart,
    /// Make the sensor forget its network and give it anew.
    SetNetwork,
    /// Close the camera, look for it, and open it.
    Reopen,
}

impl Remedy {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Restart, Self::SetNetwork, Self::Reopen];

    /// As it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::SetNetwork => "set_network",
            Self::Reopen => "reopen",
        }
    }

    /// The next stronger one; the strongest stays.
    #[must_use]
    pub const fn stronger(self) -> Self {
        match self {
            Self::Restart => Self::SetNetwork,
            Self::SetNetwork | Self::Reopen => Self::Reopen,
        }
    }
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Restart => "the stream is stopped and started again",
            Self::SetNetwork => "the network is set again",
            Self::Reopen => "the camera is closed and opened again",
        })
    }
}
