//! Declaration of a table of settings: each field once, with its documentation, type and default.

/// Declares a struct of settings that is loaded by serde, and documents itself.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident {
            $($(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* pub(crate) $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            /// Documentation of the table.
            pub(in crate::config) const ABOUT: &str = concat!($($about, "\n",)*);
            /// Name and documentation of each field, in order.
            pub(in crate::config) const FIELDS: &[(&str, &str)] =
                &[$((stringify!($field), concat!($($doc, "\n",)*)),)*];
        }
    };
}

pub(super) use section;
