"""Reads a CloudFormation template for tests, and prints JSON:
stack.py TEMPLATE tables|environment|stack [ENDPOINT]
"""

import json
import re
import sys

import boto3
from cfnlint.decode.cfn_yaml import load

template = json.loads(json.dumps(load(sys.argv[1])))
resources = template["Resources"]
VALUES = {
    "ImageUri": "registry/lake@sha256:1",
    "PublicUrl": "https://lake.example",
    "OperatorMail": "operator@lake.example",
}
BUCKET = "s3://bucket/lake"
# What moto's CloudFormation cannot make, by what it says or does: RDS with a parameter group fails, of the rest it knows nothing.
FAILS = ["AWS::RDS::DBInstance", "AWS::ApiGatewayV2::", "AWS::ServiceDiscovery::"]


def value(found):
    """Replaces values that only CloudFormation knows by their names."""
    if isinstance(found, dict):
        if "Ref" in found:
            default = template["Parameters"].get(found["Ref"], {}).get("Default")
            return VALUES.get(found["Ref"], str(default) if default else found["Ref"].lower())
        if "Fn::Sub" in found:
            text = found["Fn::Sub"].replace("s3://${Bucket}/lake", BUCKET).replace("${!", "${")
            return re.sub(r"\$\{([A-Z][\w:]*)\}", lambda m: m[1].lower().replace(":", ""), text)
        return {key: value(inner) for key, inner in found.items()}
    if isinstance(found, list):
        return [value(inner) for inner in found]
    return found


def tables():
    """Returns the Glue tables in the form of their SQL statements."""
    answer = {}
    for resource in resources.values():
        if resource["Type"] != "AWS::Glue::Table":
            continue
        table = value(resource["Properties"]["TableInput"])
        storage = table["StorageDescriptor"]
        answer[table["Name"]] = {
            "comment": table["Description"],
            "columns": [[c["Name"], c["Type"], c.get("Comment")] for c in storage["Columns"]],
            "partitions": [[c["Name"], c["Type"]] for c in table["PartitionKeys"]],
            "location": storage["Location"],
            "formats": [storage["SerdeInfo"]["SerializationLibrary"], storage["InputFormat"], storage["OutputFormat"]],
            "properties": {k: v for k, v in table["Parameters"].items() if k != "EXTERNAL"},
        }
    return answer


def environment():
    """The settings of each task."""
    tasks = {name: r for name, r in resources.items() if r["Type"] == "AWS::ECS::TaskDefinition"}
    answer = {}
    for name, task in tasks.items():
        container = task["Properties"]["ContainerDefinitions"][0]
        plain = {e["Name"]: value(e["Value"]) for e in container["Environment"]}
        answer[name] = {"command": container["Command"], "environment": plain, "secrets": [s["Name"] for s in container["Secrets"]]}
    return answer


def references(found):
    if isinstance(found, list):
        for inner in found:
            yield from references(inner)
    elif isinstance(found, dict):
        for key, inner in found.items():
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0]
            elif key == "Fn::Sub":
                text, more = (inner, {}) if isinstance(inner, str) else inner
                yield from re.findall(r"\$\{(\w+)", text)
                yield from references(more)
            elif key == "DependsOn":
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from references(inner)


def without(kinds):
    """Removes resources of some kinds, and everything that refers to them."""
    gone = {name for name, r in resources.items() if any(r["Type"].startswith(kind) for kind in kinds)}
    while more := {name for name, r in resources.items() if name not in gone and gone & set(references(r))}:
        gone |= more
    left = dict(template, Resources={name: r for name, r in resources.items() if name not in gone})
    left["Outputs"] = {name: o for name, o in template["Outputs"].items() if not gone & set(references(o))}
    left.pop("Metadata", None)
    return left, gone


def rule(found):
    """Converts a lifecycle rule to S3's API."""
    told = {"ID": found["Id"], "Status": found["Status"], "Filter": {"Prefix": found.get("Prefix", "")}}
    for same in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if same in found:
            told[same] = found[same]
    if "ExpirationInDays" in found:
        told["Expiration"] = {"Days": found["ExpirationInDays"]}
    if "ExpiredObjectDeleteMarker" in found:
        told["Expiration"] = {"ExpiredObjectDeleteMarker": found["ExpiredObjectDeleteMarker"]}
    return told


def stack(endpoint):
    """Creates in moto the resources that it supports, by a change set."""

    def client(service):
        return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="testing1", aws_secret_access_key="testing")

    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    subnets = ",".join(ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.40.{at}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"] for at, zone in enumerate("ab"))
    certificate = client("acm").request_certificate(DomainName="lake.example")["CertificateArn"]
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x"
    given = dict(VALUES, CertificateArn=certificate, VpcId=vpc, PublicSubnetIds=subnets, PrivateSubnetIds=subnets, SubnetIds=subnets, DatabaseUrlSecret=secret, MailUrlSecret=secret)
    parameters = [{"ParameterKey": name, "ParameterValue": text} for name, text in given.items() if name in template["Parameters"]]
    if "DatabaseUrl" in resources:
        # What refers to no database can be made without one.
        resources["DatabaseUrl"]["Properties"]["SecretString"] = "postgres://database/x"
    left, gone = without(FAILS)
    cloud = client("cloudformation")
    name = "lake-test"
    cloud.create_change_set(StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=json.dumps(left), Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
    cloud.execute_change_set(StackName=name, ChangeSetName="first")
    made = {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in cloud.describe_stack_resources(StackName=name)["StackResources"] if "LogicalResourceId" in r}
    # Its CloudFormation knows neither Glue nor Athena, whose own calls take the same words.
    glue, athena = client("glue"), client("athena")
    for resource in resources.values():
        properties = value(resource.get("Properties", {}))
        if resource["Type"] == "AWS::Glue::Database":
            glue.create_database(DatabaseInput={"Name": "lake_test", "Description": properties["DatabaseInput"]["Description"]})
    for resource in resources.values():
        properties = value(resource.get("Properties", {}))
        if resource["Type"] == "AWS::Glue::Table":
            glue.create_table(DatabaseName="lake_test", TableInput=properties["TableInput"])
        if resource["Type"] == "AWS::Athena::WorkGroup":
            configuration = properties["WorkGroupConfiguration"]
            configuration["BytesScannedCutoffPerQuery"] = int(configuration["BytesScannedCutoffPerQuery"])
            configuration["ResultConfiguration"]["EncryptionConfiguration"]["KmsKey"] = "key"
            athena.create_work_group(Name=properties["Name"], Configuration=configuration)
    # Of a bucket it makes no more than the bucket.
    s3 = client("s3")
    bucket = resources["Bucket"]["Properties"]
    s3.put_public_access_block(Bucket=made["Bucket"], PublicAccessBlockConfiguration=bucket["PublicAccessBlockConfiguration"])
    rules = [rule(r) for r in bucket["LifecycleConfiguration"]["Rules"]]
    s3.put_bucket_lifecycle_configuration(Bucket=made["Bucket"], LifecycleConfiguration={"Rules": rules})
    inactive = {n for n, r in left["Resources"].items() if r.get("Condition") == "MakesVpc"}
    return {
        "status": cloud.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"],
        "in_all": len(resources),
        "made": made,
        "kinds": sorted({resources[n]["Type"] for n in made}),
        "unknown": sorted({resources[n]["Type"] for n in set(left["Resources"]) - set(made) - inactive}),
        "left_out": sorted(gone),
        "tables": sorted(t["Name"] for t in glue.get_tables(DatabaseName="lake_test")["TableList"]),
        "workgroups": sorted(w["Name"] for w in athena.list_work_groups()["WorkGroups"]),
    }


print(json.dumps({"tables": tables, "environment": environment, "stack": lambda: stack(sys.argv[3])}[sys.argv[2]]()))
