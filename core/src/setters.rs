//! Setters of options.

/// Declares a setter for each of these fields of a type.
macro_rules! setters {
    ($type:ident { $($field:ident: $value:ty),+ $(,)? }) => {
        impl $type {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(self, $field: $value) -> Self {
                    Self { $field, ..self }
                }
            )+
        }
    };
}

pub(crate) use setters;
