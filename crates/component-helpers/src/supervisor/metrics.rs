//! Metrics of the components.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    component: String,
}

pub(super) struct Metrics {
    registry: Registry,
    panics: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (panics, restarts) = (Family::default(), Family::default());
        registry.register(
            "selfheal_component_panics",
            "Total number of panics in a component of the node",
            Family::clone(&panics),
        );
        registry.register(
            "selfheal_component_restarts",
            "Total number of restarts of a component of the node after a panic",
            Family::clone(&restarts),
        );
        Self {
            registry,
            panics,
            restarts,
        }
    }
}

impl Metrics {
    /// Exports the component's counters from 0.
    pub(super) fn register(&self, component: &str) {
        drop(self.panics(component));
        drop(self.restarts(component));
    }

    pub(super) fn panics(&self, component: &str) -> Counter {
        self.panics.get_or_create_owned(&labels(component))
    }

    pub(super) fn restarts(&self, component: &str) -> Counter {
        self.restarts.get_or_create_owned(&labels(component))
    }

    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything that is written to it");
        text
    }
}

fn labels(component: &str) -> Labels {
    Labels {
        component: component.to_owned(),
    }
}
