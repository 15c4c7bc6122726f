//! Enums whose variants have one name in every API.

/// Declares an enum from its variants: documentation, variant, name.
macro_rules! named_enum {
    (
        $(#[$doc:meta])*
        $enum:ident { $($(#[$variant_doc:meta])* $variant:ident $name:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $enum {
            /// All variants, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Names of all of them.
            #[must_use]
            pub fn names() -> Vec<&'static str> {
                Self::ALL.iter().map(|one| one.name()).collect()
            }

            /// Name in every API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

pub(crate) use named_enum;
