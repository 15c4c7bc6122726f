#!/usr/bin/env bash
# Deploys marketlake on AWS as one CloudFormation stack.
#
#   deploy/deploy.sh STACK --parameters FILE [--serverless] [--image URI] [--yes] [--dry-run]
#   deploy/deploy.sh destroy STACK [--with-data] [--yes] [--dry-run]
#
# FILE has a line Name=Value for each parameter of the template; docs/aws.md shows one. Run again
# with another image or other parameters, it changes the stack. It shows the changes and waits for
# confirmation. --image deploys an existing image instead of building one. --dry-run prints every
# step and executes none. destroy keeps the bucket, a snapshot of the database, the key and the
# logs; --with-data deletes the bucket and all its objects too.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "deploy: $*"; exit 2; }
step() { say; say "== $*"; }

action=deploy stack="" parameters="" template=deploy/template.yaml image="" yes="" dry="" with_data=""
[ "${1:-}" != destroy ] || { action=destroy; shift; }
while [ $# -gt 0 ]; do
    case "$1" in
        --parameters) parameters="${2:?--parameters: expected a file}"; shift ;;
        --image) image="${2:?--image: expected an image}"; shift ;;
        --serverless) template=deploy/serverless.yaml ;;
        --yes) yes=1 ;;
        --dry-run) dry=1 ;;
        --with-data) with_data=1 ;;
        -*) fail "$1: expected --parameters, --image, --serverless, --with-data, --yes or --dry-run" ;;
        *) [ -z "$stack" ] || fail "$1: expected one stack, got $stack too"; stack="$1" ;;
    esac
    shift
done
case "$stack" in
    "") fail "STACK: expected the stack's name" ;;
    *[!a-z0-9-]* | [!a-z]*) fail "STACK: expected a to z, 0 to 9 and -, a letter first, got $stack" ;;
esac
[ -z "$parameters" ] || [ -r "$parameters" ] || fail "--parameters $parameters: cannot be read"

# run WORDS..: runs a step's command; a dry run only prints it.
run() {
    if [ -n "$dry" ]; then
        # In single quotes where a shell would need them.
        local word shown=""
        for word in "$@"; do
            case "$word" in
                *[!a-zA-Z0-9_./:=,@%+-]*) shown+=" '${word//\'/\'\\\'\'}'" ;;
                *) shown+=" $word" ;;
            esac
        done
        printf '%s\n' "${shown# }"
    else
        "$@"
    fi
}
# query NAME WORDS..: prints a command's output; a dry run prints the command, and NAME in place of
# its output.
query() {
    local what="$1"
    shift
    if [ -n "$dry" ]; then
        run "$@" >&3
        printf '<%s>' "$what"
    else
        "$@"
    fi
}
agree() {
    [ -z "$yes$dry" ] || return 0
    local answer
    read -r -p "$1 [y/N] " answer
    [ "$answer" = y ] || { say "deploy: nothing was changed"; exit 1; }
}
exec 3>&1

have() { [ -n "$dry" ] || command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: install it and run this again"; }
# output NAME: prints an output of the stack.
output() {
    local found
    found="$(query "$1" aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text)"
    case "$found" in "" | None) fail "the stack $stack does not say its $1" ;; esac
    printf '%s' "$found"
}

destroy() {
    have aws
    step "What is there"
    run aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].[StackName,StackStatus,Description]" --output text
    local bucket
    bucket="$(output BucketName)"
    agree "Delete the stack $stack, and keep the bucket $bucket${with_data:+ no longer than that}?"
    step "Let go of what is protected"
    local database balancer
    database="$(query Database aws cloudformation describe-stack-resources --stack-name "$stack" --query "StackResources[?LogicalResourceId=='Database'].PhysicalResourceId" --output text)"
    balancer="$(query Balancer aws cloudformation describe-stack-resources --stack-name "$stack" --query "StackResources[?LogicalResourceId=='Balancer'].PhysicalResourceId" --output text)"
    [ -z "$database" ] || run aws rds modify-db-instance --db-instance-identifier "$database" --no-deletion-protection --apply-immediately
    [ -z "$balancer" ] || run aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$balancer" --attributes Key=deletion_protection.enabled,Value=false
    step "Delete the stack"
    run aws cloudformation delete-stack --stack-name "$stack"
    run aws cloudformation wait stack-delete-complete --stack-name "$stack"
    if [ -n "$with_data" ]; then
        step "Delete the data"
        if [ -z "$dry" ]; then
            local typed
            read -r -p "Type $bucket to delete every price in it, for ever: " typed
            [ "$typed" = "$bucket" ] || fail "the data stays in $bucket"
        fi
        run aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Suspended
        run aws s3 rm "s3://$bucket" --recursive --only-show-errors
        # Deleted objects remain as old versions until a lifecycle rule ends them within a week;
        # the bucket can be deleted when it is empty.
        run aws s3api put-bucket-lifecycle-configuration --bucket "$bucket" --lifecycle-configuration '{"Rules":[{"ID":"all","Status":"Enabled","Filter":{},"Expiration":{"Days":1},"NoncurrentVersionExpiration":{"NoncurrentDays":1},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}}]}'
        say "the bucket has only old versions, which end within two days; then run: aws s3api delete-bucket --bucket $bucket"
    else
        say "kept: the bucket $bucket, the database's last snapshot, the key, the logs"
    fi
}

build() {
    have docker
    local account region registry tag
    account="$(query account aws sts get-caller-identity --query Account --output text)"
    region="${AWS_REGION:-${AWS_DEFAULT_REGION:-}}"
    [ -n "$region" ] || region="$(query region aws configure get region)" || fail "AWS_REGION: expected a region, here or in the AWS CLI's profile"
    registry="$account.dkr.ecr.$region.amazonaws.com"
    tag="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unversioned)"
    step "A place for the image"
    if [ -n "$dry" ] || ! aws ecr describe-repositories --repository-names "$stack" >/dev/null 2>&1; then
        run aws ecr create-repository --repository-name "$stack" --image-tag-mutability IMMUTABLE --image-scanning-configuration scanOnPush=true --encryption-configuration encryptionType=KMS
    fi
    step "Build and push"
    run docker build --target marketlake --tag "$registry/$stack:$tag" .
    if [ -n "$dry" ]; then
        run aws ecr get-login-password "|" docker login --username AWS --password-stdin "$registry"
    else
        aws ecr get-login-password | docker login --username AWS --password-stdin "$registry"
    fi
    if [ -n "$dry" ] || ! aws ecr describe-images --repository-name "$stack" --image-ids imageTag="$tag" >/dev/null 2>&1; then
        run docker push "$registry/$stack:$tag"
    fi
    local digest
    digest="$(query digest aws ecr describe-images --repository-name "$stack" --image-ids imageTag="$tag" --query "imageDetails[0].imageDigest" --output text)"
    image="$registry/$stack@$digest"
}

# given: the parameters as JSON; each line must be Name=Value.
given() {
    local name value line lines=("ImageUri=$image") comma=""
    if [ -n "$parameters" ]; then
        while IFS= read -r line || [ -n "$line" ]; do
            case "$line" in
                "" | "#"*) ;;
                [A-Z]*=*) lines+=("$line") ;;
                *) fail "$parameters: expected Name=Value, got $line" ;;
            esac
        done <"$parameters"
    fi
    printf '['
    for line in "${lines[@]}"; do
        name="${line%%=*}" value="${line#*=}"
        value="${value//\\/\\\\}"
        printf '%s{"ParameterKey":"%s","ParameterValue":"%s"}' "$comma" "$name" "${value//\"/\\\"}"
        comma=,
    done
    printf ']\n'
}

deploy() {
    have aws
    [ -n "$image" ] || build
    # In a file, because some are passwords.
    given_file="$(mktemp)"
    trap 'rm -f "$given_file"' EXIT
    given >"$given_file"
    step "Look at the template"
    run aws cloudformation validate-template --template-body "file://$template" --query Description --output text
    step "What would change"
    local kind=CREATE change
    if [ -z "$dry" ] && aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[?StackStatus!='REVIEW_IN_PROGRESS'].StackName" --output text 2>/dev/null | grep -q .; then
        kind=UPDATE
    fi
    change="deploy-$(date -u +%Y%m%d%H%M%S)"
    run aws cloudformation create-change-set --stack-name "$stack" --change-set-name "$change" --change-set-type "$kind" \
        --template-body "file://$template" --capabilities CAPABILITY_IAM --parameters "file://$given_file" --query Id --output text
    local nothing=""
    if ! run aws cloudformation wait change-set-create-complete --stack-name "$stack" --change-set-name "$change"; then
        local reason
        reason="$(aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" --query StatusReason --output text)"
        case "$reason" in
            *"didn't contain changes"* | *"No updates"*) nothing=1; say "nothing"; run aws cloudformation delete-change-set --stack-name "$stack" --change-set-name "$change" ;;
            *) fail "no change set: $reason" ;;
        esac
    fi
    if [ -z "$nothing" ]; then
        run aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" \
            --query "Changes[].ResourceChange.[Action,LogicalResourceId,ResourceType,Replacement]" --output table
        agree "Do that?"
        step "Apply"
        run aws cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change"
        local done=stack-create-complete
        [ "$kind" = CREATE ] || done=stack-update-complete
        if ! run aws cloudformation wait "$done" --stack-name "$stack"; then
            aws cloudformation describe-stack-events --stack-name "$stack" \
                --query "StackEvents[?contains(ResourceStatus,'FAILED')].[LogicalResourceId,ResourceStatusReason]" --output text >&2
            fail "the stack was not made; CloudFormation has gone back to what was there before"
        fi
    fi
    step "Athena's tables"
    local cluster definition network task code
    cluster="$(output ClusterName)"
    definition="$(output SchedulerTaskDefinition)"
    network="$(output TaskNetwork)"
    task="$(query task aws ecs run-task --cluster "$cluster" --task-definition "$definition" --launch-type FARGATE --network-configuration "$network" \
        --overrides '{"containerOverrides":[{"name":"marketlake","command":["athena","setup"]}]}' --query "tasks[0].taskArn" --output text)"
    run aws ecs wait tasks-stopped --cluster "$cluster" --tasks "$task"
    code="$(query 0 aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query "tasks[0].containers[0].exitCode" --output text)"
    [ -n "$dry" ] || [ "$code" = 0 ] || fail "athena setup ended with $code; see the stack's log"
    step "Smoke test"
    local url
    url="$(output PublicUrl)"
    run docker run --rm "$image" smoke "$url" --wait 10m
    say
    say "marketlake answers at $url"
}

"$action"
