//! Mutations of subscriptions.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use marketlake_alerts::subscriptions::{self, Access, LifecycleError, SignupRequester, Transition};
use marketlake_alerts::{Keyring, Purpose, Subscription as Record, TokenError};
use marketlake_common::excerpt;
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::idempotency::IdempotencyKey;
use marketlake_http::state::AppState;
use marketlake_http::subscription_requests;
use marketlake_model::Millis;

use super::super::errors;
use super::super::guard::RequireScope;
use super::input::{
    ConfirmSubscriptionInput, CreateSubscriptionInput, DeleteSubscriptionInput,
    EditSubscriptionInput, OwnSubscriptionInput, RequestManageLinkInput, SnoozeSubscriptionInput,
};
use super::types::{Subscription, UserError};

/// Created subscription, or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct CreateSubscriptionPayload {
    /// The new subscription, pending until its owner confirms it by the link in the mail; null
    /// where there are errors.
    subscription: Option<Subscription>,
    /// Secret that signs its webhooks, shown this once; null for mail.
    secret: Option<String>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Changed subscription as it is now, or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct SubscriptionPayload {
    /// The subscription; null where there are errors.
    subscription: Option<Subscription>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Key of the deleted subscription, or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct DeleteSubscriptionPayload {
    /// Id of the deleted subscription; null where there are errors.
    deleted_id: Option<ID>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Acceptance of the request, the same whether or not the address is known; or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct RequestManageLinkPayload {
    /// Whether the request was accepted: a link is mailed if the address has subscriptions.
    accepted: bool,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Confirmation that a test message is queued, or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct TestSubscriptionPayload {
    /// Whether a test message is queued.
    queued: bool,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(in crate::schema) struct SubscriptionsMutation;

#[Object]
impl SubscriptionsMutation {
    /// Subscribes an address to jumps. A repeated request with the same Idempotency-Key header
    /// creates nothing new. Its owner gets a mail to confirm it; nothing else is sent until then.
    /// The answer is the same whether or not the address is known.
    #[graphql(guard = "RequireScope(Scope::Subscribe)")]
    async fn create_subscription(
        &self,
        context: &Context<'_>,
        input: CreateSubscriptionInput,
    ) -> Result<CreateSubscriptionPayload> {
        let (state, now) = at(context).await?;
        let requester = SignupRequester {
            idempotency_key: context.data::<IdempotencyKey>()?.0.as_deref(),
            ..context.data::<Caller>()?.subscription_requester()
        };
        let made =
            subscription_requests::request_subscription(state, &input.spec(), &requester, now)
                .await;
        Ok(match made.map_err(|error| errors::unavailable(&error))? {
            Ok(record) => CreateSubscriptionPayload {
                secret: record.secret.clone(),
                subscription: Some(record.into()),
                user_errors: Vec::new(),
            },
            Err(wrong) => CreateSubscriptionPayload {
                subscription: None,
                secret: None,
                user_errors: wrong.into_iter().map(UserError::from).collect(),
            },
        })
    }

    /// Confirms a subscription by the token of the link in the mail.
    async fn confirm_subscription(
        &self,
        context: &Context<'_>,
        input: ConfirmSubscriptionInput,
    ) -> Result<SubscriptionPayload> {
        let (state, now) = at(context).await?;
        match subject(state, Purpose::Confirm, &input.token, now).await? {
            Ok(id) => change(state, &id, Access::All, &Transition::Confirm, now).await,
            Err(error) => Ok(wrong(token_error(&error))),
        }
    }

    /// Pauses a subscription: nothing is evaluated.
    async fn pause_subscription(
        &self,
        context: &Context<'_>,
        input: OwnSubscriptionInput,
    ) -> Result<SubscriptionPayload> {
        own(
            context,
            input.token.as_deref(),
            &input.id,
            &Transition::Pause,
        )
        .await
    }

    /// Resumes a subscription that is paused or snoozed.
    async fn resume_subscription(
        &self,
        context: &Context<'_>,
        input: OwnSubscriptionInput,
    ) -> Result<SubscriptionPayload> {
        own(
            context,
            input.token.as_deref(),
            &input.id,
            &Transition::Resume,
        )
        .await
    }

    /// Snoozes a subscription until a time; it is evaluated meanwhile, without messages.
    async fn snooze_subscription(
        &self,
        context: &Context<'_>,
        input: SnoozeSubscriptionInput,
    ) -> Result<SubscriptionPayload> {
        let snooze = Transition::Snooze(input.until.0);
        own(context, input.token.as_deref(), &input.id, &snooze).await
    }

    /// Replaces a subscription's rule.
    async fn edit_subscription(
        &self,
        context: &Context<'_>,
        input: EditSubscriptionInput,
    ) -> Result<SubscriptionPayload> {
        let new = input.spec();
        if let Err(error) = subscription_requests::check_matches(context.data::<AppState>()?, &new)
        {
            // A caller that may not change it must not learn whether it exists.
            let (_, now) = at(context).await?;
            return Ok(wrong(
                match subscription_owner(context, input.token.as_deref(), now).await? {
                    Ok(_) => error.into(),
                    Err(error) => error,
                },
            ));
        }
        let edit = Transition::Edit(Box::new(new));
        own(context, input.token.as_deref(), &input.id, &edit).await
    }

    /// Sends a test message through a subscription's channel, at most one a minute.
    async fn test_subscription(
        &self,
        context: &Context<'_>,
        input: OwnSubscriptionInput,
    ) -> Result<TestSubscriptionPayload> {
        let (state, now) = at(context).await?;
        let own = match subscription_owner(context, input.token.as_deref(), now).await? {
            Ok(own) => own,
            Err(error) => return Ok(TestSubscriptionPayload::wrong(error)),
        };
        let database = state.lake.database();
        let found = Record::find_of(database, &input.id, own.access()).await;
        if found
            .map_err(|error| errors::unavailable(&error))?
            .is_none()
        {
            return Ok(TestSubscriptionPayload::wrong(unknown(&input.id)));
        }
        let queued = subscriptions::test(database, &input.id, own.access(), now).await;
        Ok(TestSubscriptionPayload {
            queued: queued.map_err(|error| errors::unavailable(&error))?,
            user_errors: Vec::new(),
        })
    }

    /// Mails an address the link to its subscriptions, if it has any.
    async fn request_manage_link(
        &self,
        context: &Context<'_>,
        input: RequestManageLinkInput,
    ) -> Result<RequestManageLinkPayload> {
        let (state, now) = at(context).await?;
        let database = state.lake.database();
        let sent =
            subscriptions::request_manage_link(database, &input.address, &state.signup_limits, now)
                .await;
        let error = sent.map_err(|error| errors::unavailable(&error))?.err();
        Ok(RequestManageLinkPayload {
            accepted: error.is_none(),
            user_errors: error.into_iter().map(UserError::from).collect(),
        })
    }

    /// Deletes a subscription; it sends no further mail.
    async fn delete_subscription(
        &self,
        context: &Context<'_>,
        input: DeleteSubscriptionInput,
    ) -> Result<DeleteSubscriptionPayload> {
        let end = Transition::Unsubscribe("by its owner");
        let ended = own(context, input.token.as_deref(), &input.id, &end).await?;
        let is_done = ended.user_errors.is_empty();
        Ok(DeleteSubscriptionPayload {
            deleted_id: is_done.then_some(input.id),
            user_errors: ended.user_errors,
        })
    }
}

async fn at<'a>(context: &Context<'a>) -> Result<(&'a AppState, Millis)> {
    Ok((context.data::<AppState>()?, errors::now(context).await?))
}

/// The subject of a token, or the reason why it is invalid.
pub(super) async fn subject(
    state: &AppState,
    purpose: Purpose,
    token: &str,
    now: Millis,
) -> Result<Result<String, TokenError>> {
    let keys = Keyring::load(state.lake.database(), now).await;
    let keys = keys.map_err(|error| errors::unavailable(&error))?;
    Ok(keys.verify(purpose, token, now))
}

/// Owner of the subscriptions that the requester may see and change.
pub(super) enum SubscriptionOwner {
    All,
    Address(String),
    Owner(String),
}

impl SubscriptionOwner {
    pub(super) fn access(&self) -> Access<'_> {
        match self {
            Self::All => Access::All,
            Self::Address(address) => Access::Address(address),
            Self::Owner(owner) => Access::Owner(owner),
        }
    }
}

/// Finds the owner by a token of the link to one's subscriptions, else by the caller's identity.
pub(super) async fn subscription_owner(
    context: &Context<'_>,
    token: Option<&str>,
    now: Millis,
) -> Result<Result<SubscriptionOwner, UserError>> {
    if let Some(token) = token {
        let verified = subject(context.data::<AppState>()?, Purpose::Manage, token, now).await?;
        return Ok(verified
            .map(SubscriptionOwner::Address)
            .map_err(|error| token_error(&error)));
    }
    Ok(match context.data::<Caller>()?.subscription_access() {
        Some(Access::Owner(owner)) => Ok(SubscriptionOwner::Owner(owner.to_owned())),
        Some(_) => Ok(SubscriptionOwner::All),
        None => Err(UserError {
            field: "token".to_owned(),
            message: "expected the token from the link to the owner's subscriptions, or a key \
                with the scope alerts"
                .to_owned(),
            code: "UNAUTHENTICATED".to_owned(),
        }),
    })
}

async fn own(
    context: &Context<'_>,
    token: Option<&str>,
    id: &str,
    step: &Transition,
) -> Result<SubscriptionPayload> {
    let (state, now) = at(context).await?;
    match subscription_owner(context, token, now).await? {
        Ok(own) => change(state, id, own.access(), step, now).await,
        Err(error) => Ok(wrong(error)),
    }
}

async fn change(
    state: &AppState,
    id: &str,
    whose: Access<'_>,
    step: &Transition,
    now: Millis,
) -> Result<SubscriptionPayload> {
    let changed = Record::change(state.lake.database(), id, whose, step, now).await;
    Ok(
        match changed.map_err(|error| errors::unavailable(&error))? {
            Ok(record) => SubscriptionPayload {
                subscription: Some(record.into()),
                user_errors: Vec::new(),
            },
            Err(error) => SubscriptionPayload {
                subscription: None,
                user_errors: life_errors(error),
            },
        },
    )
}

impl TestSubscriptionPayload {
    fn wrong(error: UserError) -> Self {
        Self {
            queued: false,
            user_errors: vec![error],
        }
    }
}

fn wrong(error: UserError) -> SubscriptionPayload {
    SubscriptionPayload {
        subscription: None,
        user_errors: vec![error],
    }
}

fn unknown(id: &str) -> UserError {
    let shown = excerpt(id);
    UserError {
        field: "id".to_owned(),
        message: format!("no subscription {shown:?} is in force"),
        code: "UNKNOWN_SUBSCRIPTION".to_owned(),
    }
}

fn life_errors(error: LifecycleError) -> Vec<UserError> {
    let one = |field: &str, code: &str, error: &LifecycleError| {
        vec![UserError {
            field: field.to_owned(),
            message: error.to_string(),
            code: code.to_owned(),
        }]
    };
    match error {
        LifecycleError::Unknown(id) => vec![unknown(&id)],
        LifecycleError::Not { .. } => one("id", "WRONG_STATE", &error),
        LifecycleError::TooMany => one("address", "TOO_MANY", &error),
        LifecycleError::Fields(fields) => fields.into_iter().map(UserError::from).collect(),
    }
}

pub(super) fn token_error(error: &TokenError) -> UserError {
    let code = match error {
        TokenError::Malformed => "MALFORMED_TOKEN",
        TokenError::UnknownKey | TokenError::Forged => "FORGED_TOKEN",
        TokenError::RetiredKey => "RETIRED_KEY",
        TokenError::Expired(_) => "EXPIRED_TOKEN",
        TokenError::WrongPurpose(_) => "WRONG_PURPOSE",
    };
    UserError {
        field: "token".to_owned(),
        message: error.to_string(),
        code: code.to_owned(),
    }
}
