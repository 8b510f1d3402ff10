//! One of several places that are searched: a profile and a region, and the
//! handle on them, made when it is first needed.

use super::client::{Aws, Place};
use crate::situation::Reason;
use crate::sources::{Call, Options, Scope};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, mpsc};

/// A place and its handle.
#[derive(Debug)]
pub struct Spot {
    pub scope: Scope,
    place: Option<Place>,
    options: Options,
    calls: mpsc::Sender<Call>,
    aws: OnceCell<Aws>,
}

impl Spot {
    /// The handle. Configuration that could not be read is read again by the next who asks.
    pub async fn aws(&self) -> Result<Aws, Reason> {
        let load = || Aws::load_at(self.place.clone(), self.options.clone(), self.calls.clone());
        self.aws.get_or_try_init(load).await.cloned()
    }

    /// As [`Spot::aws`], with configuration and credentials read anew.
    pub async fn fresh(&self) -> Result<Aws, Reason> {
        if let Some(aws) = self.aws.get() {
            aws.reload().await?;
        }
        self.aws().await
    }
}

/// All places of a session. A place that is searched again keeps its handle,
/// and with it the budget and the pauses of its account.
#[derive(Debug)]
pub struct Spots {
    place: Option<Place>,
    options: Options,
    calls: mpsc::Sender<Call>,
    all: Mutex<Vec<Arc<Spot>>>,
}

impl Spots {
    /// None are made yet.
    pub fn new(place: Option<Place>, options: Options, calls: mpsc::Sender<Call>) -> Spots {
        Spots { place, options, calls, all: Mutex::default() }
    }

    /// The one for this profile and region.
    pub fn of(&self, scope: &Scope) -> Arc<Spot> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spot) = all.iter().find(|s| s.scope == *scope) {
            return Arc::clone(spot);
        }
        let options = Options {
            profile: scope.profile.clone(),
            region: scope.region.clone(),
            places: Vec::new(),
            ..self.options.clone()
        };
        let (place, calls) = (self.place.clone(), self.calls.clone());
        let spot = Arc::new(Spot { scope: scope.clone(), place, options, calls, aws: OnceCell::new() });
        all.push(Arc::clone(&spot));
        spot
    }

    /// Those asked for so far.
    pub fn all(&self) -> Vec<Arc<Spot>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
