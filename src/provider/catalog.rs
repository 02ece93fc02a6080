//! The types that this build knows, by name.

use std::collections::BTreeMap;

use super::{BlockSchema, Implied, ResourceSchema, Role};

/// Every type with the provider that it belongs to. Plain data: the planner and `validate` need no live provider.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    managed: BTreeMap<&'static str, (&'static str, ResourceSchema)>,
    data: BTreeMap<&'static str, (&'static str, ResourceSchema)>,
    configurations: BTreeMap<&'static str, BlockSchema>,
    orders: BTreeMap<&'static str, Implied>,
    runners: BTreeMap<&'static str, (&'static str, BlockSchema)>,
}

impl Catalog {
    /// All built-in types.
    #[must_use]
    pub fn built_in() -> Self {
        let mut catalog = Self::default();
        catalog.add("local", super::local::schemas());
        catalog.add("kubernetes", super::kubernetes::schemas());
        catalog.configure("kubernetes", super::kubernetes::configuration());
        catalog.order("kubernetes", super::kubernetes::implied);
        catalog.run("kubernetes", "kubernetes_job", super::kubernetes::runner());
        catalog
    }

    /// Adds a provider's types.
    pub fn add(&mut self, provider: &'static str, schemas: Vec<ResourceSchema>) {
        for schema in schemas {
            let table = match schema.role {
                Role::Managed => &mut self.managed,
                Role::Data => &mut self.data,
            };
            table.insert(schema.ty, (provider, schema));
        }
    }

    /// Says what a provider's block may configure.
    pub fn configure(&mut self, provider: &'static str, schema: BlockSchema) {
        self.configurations.insert(provider, schema);
    }

    /// What a provider's block may configure; `None` for a provider that has nothing to configure.
    #[must_use]
    pub fn configuration(&self, provider: &str) -> Option<&BlockSchema> {
        self.configurations.get(provider)
    }

    /// Says in which order a provider's objects have to come.
    pub fn order(&mut self, provider: &'static str, implied: Implied) {
        self.orders.insert(provider, implied);
    }

    /// The order that a provider's objects imply, where they imply one.
    #[must_use]
    pub fn implied(&self, provider: &str) -> Option<Implied> {
        self.orders.get(provider).copied()
    }

    /// Adds a `runner` block of migrations, which a provider carries out.
    pub fn run(&mut self, provider: &'static str, name: &'static str, schema: BlockSchema) {
        self.runners.insert(name, (provider, schema));
    }

    /// The provider of a `runner` block, and what may be in it.
    #[must_use]
    pub fn runner(&self, name: &str) -> Option<(&'static str, &BlockSchema)> {
        self.runners.get(name).map(|(provider, schema)| (*provider, schema))
    }

    /// The names of all runners.
    pub fn runners(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.runners.keys().copied()
    }

    /// The schema of a type.
    #[must_use]
    pub fn get(&self, role: Role, ty: &str) -> Option<&ResourceSchema> {
        self.table(role).get(ty).map(|(_, schema)| schema)
    }

    /// The provider of a type.
    #[must_use]
    pub fn provider(&self, role: Role, ty: &str) -> Option<&'static str> {
        self.table(role).get(ty).map(|(provider, _)| *provider)
    }

    /// The names of all types of a role.
    pub fn names(&self, role: Role) -> impl Iterator<Item = &'static str> + '_ {
        self.table(role).keys().copied()
    }

    /// All schemas of a role.
    pub fn all(&self, role: Role) -> impl Iterator<Item = &ResourceSchema> {
        self.table(role).values().map(|(_, schema)| schema)
    }

    fn table(&self, role: Role) -> &BTreeMap<&'static str, (&'static str, ResourceSchema)> {
        match role {
            Role::Managed => &self.managed,
            Role::Data => &self.data,
        }
    }
}
