//! What the console can do.

/// An action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Shows what is known.
    Search,
    /// Privileges the client.
    SetVip,
    /// Does so no more.
    UnsetVip,
    /// Gives it low priority.
    SetLowPriority,
    /// Does so no more.
    UnsetLowPriority,
    /// Blocks it.
    Block,
    /// Forgets its block events.
    Unblock,
    /// Lets it reach a limit.
    Limit,
    /// Forgets the events of a limit.
    Unlimit,
    /// Counts one more of them.
    IncLimit,
    /// Tells which rules hold it.
    Why,
    /// Shows who is blocked.
    Dump,
    /// Blocks those of a list.
    Load,
    /// Ends all blocks.
    Clear,
}

const ALL: [(&str, Action); 14] = [
    ("search", Action::Search),
    ("setvip", Action::SetVip),
    ("unsetvip", Action::UnsetVip),
    ("setlowprio", Action::SetLowPriority),
    ("unsetlowprio", Action::UnsetLowPriority),
    ("block", Action::Block),
    ("unblock", Action::Unblock),
    ("limit", Action::Limit),
    ("unlimit", Action::Unlimit),
    ("inclimit", Action::IncLimit),
    ("why", Action::Why),
    ("dump", Action::Dump),
    ("load", Action::Load),
    ("clear", Action::Clear),
];

impl Action {
    /// Reads an action's name, in any case.
    pub fn parse(word: &[u8]) -> Option<Action> {
        let (_, action) =
            ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(*action)
    }

    /// Tells whether it is about one client.
    pub fn takes_address(self) -> bool {
        !matches!(self, Action::Dump | Action::Load | Action::Clear)
    }

    /// Tells whether anything is another way afterwards.
    pub fn changes(self) -> bool {
        !matches!(self, Action::Search | Action::Why | Action::Dump)
    }

    /// Tells whether it is done by POST alone, whatever the configuration says: it is about all clients.
    pub fn takes_post(self) -> bool {
        matches!(self, Action::Load | Action::Clear)
    }

    /// Tells whether it can be about a network of many clients.
    pub fn is_of_networks(self) -> bool {
        matches!(self, Action::Search | Action::Block | Action::Unblock | Action::Why)
    }

    /// Tells whether it sets what is looked at for the peers of connections alone.
    pub fn is_of_peers(self) -> bool {
        matches!(self, Action::SetVip | Action::SetLowPriority | Action::Block)
    }
}
