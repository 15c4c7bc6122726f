//! Links that are cut, forged, expired, of another purpose, of a retired key.

use marketlake_alerts::{Keyring, Purpose, TokenError};
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;

use crate::support::base::{Base, on_both};

const NOW: Millis = Millis(1_800_000_000_000);
const DAY: i64 = 86_400_000;

async fn keys(database: &DatabaseConnection) -> Keyring {
    Keyring::load(database, NOW).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_purpose_until_it_expires() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let keys = keys(&database).await;
        for purpose in [
            Purpose::Confirm,
            Purpose::Unsubscribe,
            Purpose::Snooze,
            Purpose::Manage,
        ] {
            let token = keys.sign(purpose, "a@b.cd", NOW).unwrap();
            let end = Millis(NOW.0 + purpose.days() * DAY);
            assert_eq!(keys.verify(purpose, &token, NOW).unwrap(), "a@b.cd");
            assert_eq!(
                keys.verify(purpose, &token, Millis(end.0 - 1)).unwrap(),
                "a@b.cd"
            );
            assert_eq!(
                keys.verify(purpose, &token, end),
                Err(TokenError::Expired(end))
            );
            for other in [
                Purpose::Confirm,
                Purpose::Unsubscribe,
                Purpose::Snooze,
                Purpose::Manage,
            ] {
                if other != purpose {
                    let refused = keys.verify(other, &token, NOW);
                    assert!(
                        matches!(refused, Err(TokenError::WrongPurpose(_))),
                        "{refused:?}"
                    );
                }
            }
        }
        // Another process finds the same keys.
        let token = keys.sign(Purpose::Manage, "x", NOW).unwrap();
        let others = Keyring::load(&database, NOW).await.unwrap();
        assert_eq!(others.verify(Purpose::Manage, &token, NOW).unwrap(), "x");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_and_every_changed_character_is_refused() {
    let base = Base::local().await;
    let keys = keys(&base.database().await).await;
    let token = keys
        .sign(
            Purpose::Unsubscribe,
            "s:7e0b3a51-0000-4000-8000-000000000000",
            NOW,
        )
        .unwrap();
    let mut refused = 0;
    for cut in 0..token.len() {
        keys.verify(Purpose::Unsubscribe, &token[..cut], NOW)
            .unwrap_err();
        refused += 1;
    }
    for at in 0..token.len() {
        for with in ['A', 'z', '0', '-', '_', '.'] {
            let mut forged: Vec<char> = token.chars().collect();
            if forged[at] == with {
                continue;
            }
            forged[at] = with;
            let forged: String = forged.into_iter().collect();
            keys.verify(Purpose::Unsubscribe, &forged, NOW).unwrap_err();
            refused += 1;
        }
    }
    for odd in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "\0",
        "é.é.é",
        &"A".repeat(100_000),
        &format!("{token}A"),
        &format!(" {token}"),
        &format!("{token}\n"),
    ] {
        keys.verify(Purpose::Unsubscribe, odd, NOW).unwrap_err();
        refused += 1;
    }
    assert!(refused > 700, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_what_a_retired_key_signed_is_refused() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let old = keys(&database).await;
        let token = old.sign(Purpose::Confirm, "s", NOW).unwrap();
        let new = Keyring::rotate(&database, Millis(NOW.0 + 1)).await.unwrap();
        assert_eq!(new.verify(Purpose::Confirm, &token, NOW).unwrap(), "s");
        let newer = new.sign(Purpose::Confirm, "s", NOW).unwrap();
        assert_ne!(newer.split('.').nth(1), token.split('.').nth(1));
        let retired = token.split('.').nth(1).unwrap();
        assert!(Keyring::retire(&database, retired, NOW).await.unwrap());
        assert!(!Keyring::retire(&database, "nobody", NOW).await.unwrap());
        let now = Keyring::load(&database, NOW).await.unwrap();
        assert_eq!(
            now.verify(Purpose::Confirm, &token, NOW),
            Err(TokenError::RetiredKey)
        );
        assert_eq!(now.verify(Purpose::Confirm, &newer, NOW).unwrap(), "s");
        let strange = newer.replace(newer.split('.').nth(1).unwrap(), "ffffff_");
        assert_eq!(
            now.verify(Purpose::Confirm, &strange, NOW),
            Err(TokenError::UnknownKey)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_address_names_its_delivery_and_cannot_be_made_up() {
    let base = Base::local().await;
    let keys = keys(&base.database().await).await;
    let delivery = "6f1c2a9e-3b4d-4c5e-8f70-123456789abc";
    let local = keys.return_path(delivery).unwrap();
    assert!(local.len() <= 64, "{local}");
    assert_eq!(keys.returned(&local).unwrap(), delivery);
    assert_eq!(keys.returned(&local.to_uppercase()).unwrap(), delivery);
    for at in 0..local.len() {
        let mut forged = local.clone().into_bytes();
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        keys.returned(std::str::from_utf8(&forged).unwrap())
            .unwrap_err();
        keys.returned(&local[..at]).unwrap_err();
    }
}
