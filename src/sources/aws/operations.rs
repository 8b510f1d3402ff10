//! Every operation this program may sign: one table for the allow-list of the
//! [guard](super::guard), the IAM policy, the names in errors and the rate
//! limiter. What is not here is not signed, whatever the code above asks for.

use serde_json::{Value, json};

/// Operations that share one request budget at AWS.
/// Sources: "Elastic Load Balancing API throttling", "Amazon EC2 request
/// throttling", "CloudWatch service quotas", "CloudWatch Logs quotas",
/// "Amazon ECS request throttling".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Sts,
    /// ELBv2 `Describe*`: bucket 40, refill 10 a second per account and region.
    Elb,
    /// EC2 `Describe*` with filters: bucket 100, refill 20 a second.
    Ec2,
    /// ECS reads: bucket 50 and more, refill 20 a second.
    Ecs,
    /// `GetMetricData`: 50 a second.
    Metrics,
    /// `DescribeLogGroups` and the like: 5 a second.
    LogLists,
    /// `FilterLogEvents`: 5 a second.
    LogEvents,
    /// `StartLiveTail`: a few sessions at a time.
    LogTail,
    /// `LookupEvents`: 2 a second per account and region.
    Trail,
    /// Reads of one bucket: thousands a second; ours are few and large.
    Objects,
    /// Auto Scaling, ACM, RDS, Lambda reads: tens a second each.
    Around,
    /// CloudFront and API Gateway reads: API Gateway allows 10 a second and less.
    Front,
    /// Route 53: 5 requests a second for a whole account.
    Zones,
    /// Queries of Logs Insights and Athena: a few are started, and looked after.
    Queries,
}

impl Family {
    /// All families, in the order of their discriminants.
    pub const ALL: [Family; 14] = [
        Family::Sts,
        Family::Elb,
        Family::Ec2,
        Family::Ecs,
        Family::Metrics,
        Family::LogLists,
        Family::LogEvents,
        Family::LogTail,
        Family::Trail,
        Family::Objects,
        Family::Around,
        Family::Front,
        Family::Zones,
        Family::Queries,
    ];
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Short name of the service as people write it: `elbv2`.
    pub service: &'static str,
    /// The SDK's own name of the service, as its requests carry it.
    pub sdk_service: &'static str,
    /// `DescribeTargetHealth`.
    pub name: &'static str,
    /// `elbv2:DescribeTargetHealth`.
    pub id: &'static str,
    /// IAM action that must be allowed; `None` where none can be refused.
    pub action: Option<&'static str>,
    /// Whose budget a call is taken from.
    pub family: Family,
    /// May use the last tokens of the budget: what the first look hangs on.
    pub urgent: bool,
    /// What badgate cannot show without it.
    pub lost: &'static str,
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

macro_rules! operations {
    ($($konst:ident = $short:literal $sdk:literal $name:literal $action:expr, $family:ident, $urgent:literal, $lost:literal;)*) => {
        $(
            #[doc = concat!("`", $short, ":", $name, "`: without it no ", $lost, ".")]
            pub static $konst: Operation = Operation {
                service: $short,
                sdk_service: $sdk,
                name: $name,
                id: concat!($short, ":", $name),
                action: $action,
                family: Family::$family,
                urgent: $urgent,
                lost: $lost,
            };
        )*

        /// The whole table.
        pub static ALL: &[&Operation] = &[$(&$konst),*];
    };
}

operations! {
    GET_CALLER_IDENTITY = "sts" "STS" "GetCallerIdentity" None, Sts, true, "account and caller in the title";

    DESCRIBE_LOAD_BALANCERS = "elbv2" "Elastic Load Balancing v2" "DescribeLoadBalancers"
        Some("elasticloadbalancing:DescribeLoadBalancers"), Elb, true, "finding the load balancer by name, its zones and security groups";
    DESCRIBE_LISTENERS = "elbv2" "Elastic Load Balancing v2" "DescribeListeners"
        Some("elasticloadbalancing:DescribeListeners"), Elb, false, "listeners and their certificates";
    DESCRIBE_RULES = "elbv2" "Elastic Load Balancing v2" "DescribeRules"
        Some("elasticloadbalancing:DescribeRules"), Elb, false, "which request goes to which target group";
    DESCRIBE_LOAD_BALANCER_ATTRIBUTES = "elbv2" "Elastic Load Balancing v2" "DescribeLoadBalancerAttributes"
        Some("elasticloadbalancing:DescribeLoadBalancerAttributes"), Elb, false, "idle timeout, keep-alive and access log settings";
    DESCRIBE_TARGET_GROUPS = "elbv2" "Elastic Load Balancing v2" "DescribeTargetGroups"
        Some("elasticloadbalancing:DescribeTargetGroups"), Elb, true, "target groups and their health checks";
    DESCRIBE_TARGET_GROUP_ATTRIBUTES = "elbv2" "Elastic Load Balancing v2" "DescribeTargetGroupAttributes"
        Some("elasticloadbalancing:DescribeTargetGroupAttributes"), Elb, false, "deregistration delay, slow start and stickiness";
    DESCRIBE_TARGET_HEALTH = "elbv2" "Elastic Load Balancing v2" "DescribeTargetHealth"
        Some("elasticloadbalancing:DescribeTargetHealth"), Elb, true, "target health";
    DESCRIBE_ELB_TAGS = "elbv2" "Elastic Load Balancing v2" "DescribeTags"
        Some("elasticloadbalancing:DescribeTags"), Elb, false, "tags, and log groups named by them";
    DESCRIBE_LISTENER_CERTIFICATES = "elbv2" "Elastic Load Balancing v2" "DescribeListenerCertificates"
        Some("elasticloadbalancing:DescribeListenerCertificates"), Elb, false, "certificates besides the default one";

    DESCRIBE_INSTANCES = "ec2" "EC2" "DescribeInstances"
        Some("ec2:DescribeInstances"), Ec2, false, "instances behind the targets";
    DESCRIBE_INSTANCE_STATUS = "ec2" "EC2" "DescribeInstanceStatus"
        Some("ec2:DescribeInstanceStatus"), Ec2, false, "status checks of instances, hosts and volumes";
    DESCRIBE_APPLICATION_STATUS = "ec2" "EC2" "DescribeApplicationStatus"
        Some("ec2:DescribeApplicationStatus"), Ec2, false, "why application status checks of instances fail";
    DESCRIBE_NETWORK_INTERFACES = "ec2" "EC2" "DescribeNetworkInterfaces"
        Some("ec2:DescribeNetworkInterfaces"), Ec2, false, "addresses of the load balancer and owners of ip targets";
    DESCRIBE_SECURITY_GROUPS = "ec2" "EC2" "DescribeSecurityGroups"
        Some("ec2:DescribeSecurityGroups"), Ec2, false, "security groups on the path";
    DESCRIBE_NETWORK_ACLS = "ec2" "EC2" "DescribeNetworkAcls"
        Some("ec2:DescribeNetworkAcls"), Ec2, false, "network ACLs on the path";
    DESCRIBE_ROUTE_TABLES = "ec2" "EC2" "DescribeRouteTables"
        Some("ec2:DescribeRouteTables"), Ec2, false, "routes between load balancer and targets";
    DESCRIBE_SUBNETS = "ec2" "EC2" "DescribeSubnets"
        Some("ec2:DescribeSubnets"), Ec2, false, "subnets and zones on the path";
    GET_MANAGED_PREFIX_LIST_ENTRIES = "ec2" "EC2" "GetManagedPrefixListEntries"
        Some("ec2:GetManagedPrefixListEntries"), Ec2, false, "what prefix lists in rules stand for";

    DESCRIBE_MANAGED_PREFIX_LISTS = "ec2" "EC2" "DescribeManagedPrefixLists"
        Some("ec2:DescribeManagedPrefixLists"), Ec2, false, "names of prefix lists";

    LIST_CLUSTERS = "ecs" "ECS" "ListClusters"
        Some("ecs:ListClusters"), Ecs, false, "finding ECS services behind the targets";
    LIST_SERVICES = "ecs" "ECS" "ListServices"
        Some("ecs:ListServices"), Ecs, false, "finding ECS services behind the targets";
    DESCRIBE_SERVICES = "ecs" "ECS" "DescribeServices"
        Some("ecs:DescribeServices"), Ecs, false, "ECS deployments and service events";
    LIST_TASKS = "ecs" "ECS" "ListTasks"
        Some("ecs:ListTasks"), Ecs, false, "ECS tasks, running and stopped";
    DESCRIBE_TASKS = "ecs" "ECS" "DescribeTasks"
        Some("ecs:DescribeTasks"), Ecs, false, "why ECS tasks stopped";
    DESCRIBE_TASK_DEFINITION = "ecs" "ECS" "DescribeTaskDefinition"
        Some("ecs:DescribeTaskDefinition"), Ecs, false, "log groups and stop timeouts of ECS containers";

    // The guard lets nothing but the list of questions through.
    EXECUTE_COMMAND = "ecs" "ECS" "ExecuteCommand"
        Some("ecs:ExecuteCommand"), Ecs, false, "what containers say of themselves (ECS Exec)";

    GET_METRIC_DATA = "cloudwatch" "CloudWatch" "GetMetricData"
        Some("cloudwatch:GetMetricData"), Metrics, false, "metrics and the time the trouble began";

    LIST_METRICS = "cloudwatch" "CloudWatch" "ListMetrics"
        Some("cloudwatch:ListMetrics"), Metrics, false, "memory and disks of instances, as their agents report them";

    LOOKUP_EVENTS = "cloudtrail" "CloudTrail" "LookupEvents"
        Some("cloudtrail:LookupEvents"), Trail, false, "who changed what before the trouble began";
    LIST_OBJECTS = "s3" "S3" "ListObjectsV2"
        Some("s3:ListBucket"), Objects, false, "access logs in S3: which request failed on which target";
    GET_OBJECT = "s3" "S3" "GetObject"
        Some("s3:GetObject"), Objects, false, "access logs in S3: which request failed on which target";
    DESCRIBE_AUTO_SCALING_GROUPS = "autoscaling" "Auto Scaling" "DescribeAutoScalingGroups"
        Some("autoscaling:DescribeAutoScalingGroups"), Around, false, "sizes and suspended processes of Auto Scaling groups";
    DESCRIBE_SCALING_ACTIVITIES = "autoscaling" "Auto Scaling" "DescribeScalingActivities"
        Some("autoscaling:DescribeScalingActivities"), Around, false, "instances that were started and stopped";
    DESCRIBE_CERTIFICATE = "acm" "ACM" "DescribeCertificate"
        Some("acm:DescribeCertificate"), Around, false, "whether listener certificates are valid";
    DESCRIBE_DB_INSTANCES = "rds" "RDS" "DescribeDBInstances"
        Some("rds:DescribeDBInstances"), Around, false, "state of the databases behind the targets";
    GET_FUNCTION_CONFIGURATION = "lambda" "Lambda" "GetFunctionConfiguration"
        Some("lambda:GetFunctionConfiguration"), Around, false, "state and timeout of functions that are targets";
    GET_POLICY = "lambda" "Lambda" "GetPolicy"
        Some("lambda:GetPolicy"), Around, false, "whether the load balancer may invoke a function";
    GET_FUNCTION_CONCURRENCY = "lambda" "Lambda" "GetFunctionConcurrency"
        Some("lambda:GetFunctionConcurrency"), Around, false, "concurrency set aside for a function";

    DESCRIBE_INSTANCE_INFORMATION = "ssm" "SSM" "DescribeInstanceInformation"
        Some("ssm:DescribeInstanceInformation"), Around, false, "which instances can be asked by Run Command";
    SEND_COMMAND = "ssm" "SSM" "SendCommand"
        Some("ssm:SendCommand"), Around, false, "what instances say of themselves: processes, memory, disks, ports, firewall";
    GET_COMMAND_INVOCATION = "ssm" "SSM" "GetCommandInvocation"
        Some("ssm:GetCommandInvocation"), Around, false, "what instances say of themselves";

    LIST_DISTRIBUTIONS = "cloudfront" "CloudFront" "ListDistributions"
        Some("cloudfront:ListDistributions"), Front, true, "finding the CloudFront distribution of a host name";
    GET_DISTRIBUTION = "cloudfront" "CloudFront" "GetDistribution"
        Some("cloudfront:GetDistribution"), Front, true, "domain name and deployment state of a distribution";
    GET_DISTRIBUTION_CONFIG = "cloudfront" "CloudFront" "GetDistributionConfig"
        Some("cloudfront:GetDistributionConfig"), Front, true, "origins, behaviours and timeouts of a distribution";
    GET_ORIGIN_REQUEST_POLICY = "cloudfront" "CloudFront" "GetOriginRequestPolicy"
        Some("cloudfront:GetOriginRequestPolicy"), Front, false, "whether the viewer's Host header goes to the origin";
    LIST_HOSTED_ZONES = "route53" "Route 53" "ListHostedZones"
        Some("route53:ListHostedZones"), Zones, true, "the zone that holds a host name";
    LIST_RESOURCE_RECORD_SETS = "route53" "Route 53" "ListResourceRecordSets"
        Some("route53:ListResourceRecordSets"), Zones, true, "where a host name's record leads";
    GET_HEALTH_CHECK = "route53" "Route 53" "GetHealthCheck"
        Some("route53:GetHealthCheck"), Zones, false, "what the health check of a record looks at";
    GET_HEALTH_CHECK_STATUS = "route53" "Route 53" "GetHealthCheckStatus"
        Some("route53:GetHealthCheckStatus"), Zones, false, "whether the health check of a record fails";
    GET_WEB_ACL_FOR_RESOURCE = "wafv2" "WAFV2" "GetWebACLForResource"
        Some("wafv2:GetWebACLForResource"), Around, false, "the web ACL of a load balancer";
    GET_WEB_ACL = "wafv2" "WAFV2" "GetWebACL"
        Some("wafv2:GetWebACL"), Around, false, "the web ACL of a distribution or an API";
    LIST_DEPLOYMENTS = "codedeploy" "CodeDeploy" "ListDeployments"
        Some("codedeploy:ListDeployments"), Around, false, "deployments of CodeDeploy before the trouble began";
    BATCH_GET_DEPLOYMENTS = "codedeploy" "CodeDeploy" "BatchGetDeployments"
        Some("codedeploy:BatchGetDeployments"), Around, false, "deployments of CodeDeploy before the trouble began";
    BATCH_GET_DEPLOYMENT_GROUPS = "codedeploy" "CodeDeploy" "BatchGetDeploymentGroups"
        Some("codedeploy:BatchGetDeploymentGroups"), Around, false, "what deployments of CodeDeploy go to";
    LIST_DEPLOYMENT_TARGETS = "codedeploy" "CodeDeploy" "ListDeploymentTargets"
        Some("codedeploy:ListDeploymentTargets"), Around, false, "which functions deployments of CodeDeploy go to";
    DESCRIBE_CACHE_CLUSTERS = "elasticache" "ElastiCache" "DescribeCacheClusters"
        Some("elasticache:DescribeCacheClusters"), Around, false, "state of the caches behind the targets";
    DESCRIBE_REPLICATION_GROUPS = "elasticache" "ElastiCache" "DescribeReplicationGroups"
        Some("elasticache:DescribeReplicationGroups"), Around, false, "state of the caches' replication groups";
    DESCRIBE_SERVERLESS_CACHES = "elasticache" "ElastiCache" "DescribeServerlessCaches"
        Some("elasticache:DescribeServerlessCaches"), Around, false, "state of serverless caches behind the targets";
    DESCRIBE_CACHE_EVENTS = "elasticache" "ElastiCache" "DescribeEvents"
        Some("elasticache:DescribeEvents"), Around, false, "failovers and restarts of the caches";
    GET_TRACE_SUMMARIES = "xray" "XRay" "GetTraceSummaries"
        Some("xray:GetTraceSummaries"), Around, false, "which service failing requests failed in (X-Ray)";
    GET_REST_APIS = "apigateway" "API Gateway" "GetRestApis"
        Some("apigateway:GET"), Front, true, "finding a REST API by name";
    GET_REST_API = "apigateway" "API Gateway" "GetRestApi"
        Some("apigateway:GET"), Front, true, "REST APIs";
    GET_STAGES = "apigateway" "API Gateway" "GetStages"
        Some("apigateway:GET"), Front, false, "stages of an API and their logs";
    GET_RESOURCES = "apigateway" "API Gateway" "GetResources"
        Some("apigateway:GET"), Front, false, "what the methods of an API are integrated with";
    GET_INTEGRATION = "apigateway" "API Gateway" "GetIntegration"
        Some("apigateway:GET"), Front, false, "what the methods of an API are integrated with";
    GET_VPC_LINKS = "apigateway" "API Gateway" "GetVpcLinks"
        Some("apigateway:GET"), Front, false, "VPC links of REST APIs";
    GET_DOMAIN_NAMES = "apigateway" "API Gateway" "GetDomainNames"
        Some("apigateway:GET"), Front, false, "custom domain names of REST APIs";
    GET_BASE_PATH_MAPPINGS = "apigateway" "API Gateway" "GetBasePathMappings"
        Some("apigateway:GET"), Front, false, "which API a custom domain name leads to";
    GET_APIS = "apigatewayv2" "ApiGatewayV2" "GetApis"
        Some("apigateway:GET"), Front, true, "finding an HTTP API by name";
    GET_API = "apigatewayv2" "ApiGatewayV2" "GetApi"
        Some("apigateway:GET"), Front, true, "HTTP APIs";
    GET_V2_STAGES = "apigatewayv2" "ApiGatewayV2" "GetStages"
        Some("apigateway:GET"), Front, false, "stages of an HTTP API and their logs";
    GET_INTEGRATIONS = "apigatewayv2" "ApiGatewayV2" "GetIntegrations"
        Some("apigateway:GET"), Front, false, "what the routes of an HTTP API are integrated with";
    GET_ROUTES = "apigatewayv2" "ApiGatewayV2" "GetRoutes"
        Some("apigateway:GET"), Front, false, "routes of an HTTP API";
    GET_V2_VPC_LINKS = "apigatewayv2" "ApiGatewayV2" "GetVpcLinks"
        Some("apigateway:GET"), Front, false, "VPC links of HTTP APIs";
    GET_API_MAPPINGS = "apigatewayv2" "ApiGatewayV2" "GetApiMappings"
        Some("apigateway:GET"), Front, false, "which API a custom domain name leads to";
    DESCRIBE_CLASSICS = "elb" "Elastic Load Balancing" "DescribeLoadBalancers"
        Some("elasticloadbalancing:DescribeLoadBalancers"), Elb, true, "Classic Load Balancers";
    DESCRIBE_INSTANCE_HEALTH = "elb" "Elastic Load Balancing" "DescribeInstanceHealth"
        Some("elasticloadbalancing:DescribeInstanceHealth"), Elb, true, "instance health behind a Classic Load Balancer";
    DESCRIBE_CLASSIC_ATTRIBUTES = "elb" "Elastic Load Balancing" "DescribeLoadBalancerAttributes"
        Some("elasticloadbalancing:DescribeLoadBalancerAttributes"), Elb, false, "idle timeout and access log of a Classic Load Balancer";
    DESCRIBE_LISTENER_ATTRIBUTES = "elbv2" "Elastic Load Balancing v2" "DescribeListenerAttributes"
        Some("elasticloadbalancing:DescribeListenerAttributes"), Elb, false, "idle timeout of a Network Load Balancer's listener";

    DESCRIBE_DELIVERY_SOURCES = "logs" "CloudWatch Logs" "DescribeDeliverySources"
        Some("logs:DescribeDeliverySources"), LogLists, false, "access logs delivered to CloudWatch Logs";
    DESCRIBE_DELIVERIES = "logs" "CloudWatch Logs" "DescribeDeliveries"
        Some("logs:DescribeDeliveries"), LogLists, false, "access logs delivered to CloudWatch Logs";
    GET_DELIVERY_DESTINATION = "logs" "CloudWatch Logs" "GetDeliveryDestination"
        Some("logs:GetDeliveryDestination"), LogLists, false, "access logs delivered to CloudWatch Logs";
    DESCRIBE_LOG_GROUPS = "logs" "CloudWatch Logs" "DescribeLogGroups"
        Some("logs:DescribeLogGroups"), LogLists, false, "the list of log groups";
    FILTER_LOG_EVENTS = "logs" "CloudWatch Logs" "FilterLogEvents"
        Some("logs:FilterLogEvents"), LogEvents, false, "log lines";
    // Reads, though they are named for what they start.
    START_QUERY = "logs" "CloudWatch Logs" "StartQuery"
        Some("logs:StartQuery"), Queries, false, "access logs asked through CloudWatch Logs Insights (logs --engine insights)";
    GET_LOG_QUERY_RESULTS = "logs" "CloudWatch Logs" "GetQueryResults"
        Some("logs:GetQueryResults"), Queries, false, "access logs asked through CloudWatch Logs Insights (logs --engine insights)";
    // No read, but it takes nothing away from anybody: the guard lets it through
    // for queries this very process has started, not even with changes allowed for others.
    STOP_QUERY = "logs" "CloudWatch Logs" "StopQuery"
        Some("logs:StopQuery"), Queries, true, "ending queries of Logs Insights that nobody waits for any more (they go on, and cost)";
    // The guard lets nothing but a single SELECT through.
    START_QUERY_EXECUTION = "athena" "Athena" "StartQueryExecution"
        Some("athena:StartQueryExecution"), Queries, false, "access logs asked through Athena (logs --engine athena)";
    GET_QUERY_EXECUTION = "athena" "Athena" "GetQueryExecution"
        Some("athena:GetQueryExecution"), Queries, false, "access logs asked through Athena (logs --engine athena)";
    GET_ATHENA_RESULTS = "athena" "Athena" "GetQueryResults"
        Some("athena:GetQueryResults"), Queries, false, "access logs asked through Athena (logs --engine athena)";
    // As StopQuery.
    STOP_QUERY_EXECUTION = "athena" "Athena" "StopQueryExecution"
        Some("athena:StopQueryExecution"), Queries, true, "ending queries of Athena that nobody waits for any more (they go on, and cost)";
    START_LIVE_TAIL = "logs" "CloudWatch Logs" "StartLiveTail"
        Some("logs:StartLiveTail"), LogTail, false, "log lines within a second (they are polled instead)";
}

/// Never signed, not even with changes allowed: they fetch secrets, or
/// credentials that would outlive the guard.
const NEVER: &[&str] = &[
    "GetSecretValue",
    "BatchGetSecretValue",
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
    "Decrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GetPasswordData",
    "GetSessionToken",
    "GetFederationToken",
    "AssumeRole",
    "AssumeRoot",
    "CreateAccessKey",
    "ExportCertificate",
];

/// The table's row for an operation as an SDK request names it.
pub fn find(sdk_service: &str, name: &str) -> Option<&'static Operation> {
    ALL.iter().copied().find(|op| op.name == name && op.sdk_service == sdk_service)
}

/// May this be signed? With `allow_changes` everything may but what fetches secrets.
pub fn may_sign(sdk_service: &str, name: &str, allow_changes: bool) -> bool {
    !NEVER.contains(&name) && (allow_changes || find(sdk_service, name).is_some())
}

/// Operations that can read and can change, told apart by what is sent with
/// them: a statement for Athena is a read when it is one single SELECT.
pub fn changes(sdk_service: &str, name: &str, body: &[u8]) -> bool {
    if (sdk_service, name) != ("Athena", "StartQueryExecution") {
        return false;
    }
    let doc: Option<Value> = serde_json::from_slice(body).ok();
    let text = doc.as_ref().and_then(|d| d.get("QueryString")?.as_str()).unwrap_or_default();
    let first = text.split_whitespace().next().unwrap_or_default();
    !first.eq_ignore_ascii_case("SELECT") || text.contains(';') || text.contains("--") || text.contains("/*")
}

/// The field that names a query, in the answer of what starts one and in the
/// question of what ends one; `None` for operations that do neither.
pub fn query_field(sdk_service: &str, name: &str) -> Option<(&'static str, Deed)> {
    match (sdk_service, name) {
        ("CloudWatch Logs", "StartQuery") => Some(("queryId", Deed::Starts)),
        ("CloudWatch Logs", "StopQuery") => Some(("queryId", Deed::Ends)),
        ("Athena", "StartQueryExecution") => Some(("QueryExecutionId", Deed::Starts)),
        ("Athena", "StopQueryExecution") => Some(("QueryExecutionId", Deed::Ends)),
        _ => None,
    }
}

/// What an operation does to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Its answer names the query it started.
    Starts,
    /// It names the query it is to end.
    Ends,
}

/// The one action that reads what somebody stored, and where it may.
const OBJECTS: &str = "s3:GetObject";
const LOG_OBJECTS: &str = "arn:aws:s3:::*/AWSLogs/*/elasticloadbalancing/*";
/// CloudFront's standard logs have no folder of their own: the name of a file
/// begins with the distribution's id, and all end alike.
const EDGE_OBJECTS: &str = "arn:aws:s3:::*.????-??-??-??.????????.gz";

/// What a host may be asked is decided by the guard, which reads the script;
/// the policy can only say which document, and leaving the statement out is
/// right where nobody wants commands on hosts at all.
const RUN: &str = "ssm:SendCommand";
const RUN_WHERE: [&str; 2] = ["arn:aws:ssm:*::document/AWS-RunShellScript", "arn:aws:ec2:*:*:instance/*"];

/// The same of containers.
const INSIDE: &str = "ecs:ExecuteCommand";
const INSIDE_WHERE: [&str; 2] = ["arn:aws:ecs:*:*:cluster/*", "arn:aws:ecs:*:*:task/*/*"];

/// What is no read: a query badgate started is ended when nobody waits for it
/// any more. No policy can say whose query it is; the guard does.
const ENDING: [&str; 2] = ["athena:StopQueryExecution", "logs:StopQuery"];

/// The least-privilege policy: exactly the actions of the table, sorted.
/// None of the list and describe actions of these services takes a resource,
/// but for a few ECS and Logs ones whose resources are found only by looking.
pub fn iam_policy() -> Value {
    let mut actions: Vec<&str> = ALL.iter().filter_map(|op| op.action).collect();
    actions.sort_unstable();
    actions.dedup();
    // The content of objects is read below the folder of access logs only.
    actions.retain(|a| *a != OBJECTS && *a != RUN && *a != INSIDE && !ENDING.contains(a));
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Sid": "BadgateReadOnly", "Effect": "Allow", "Action": actions, "Resource": "*" },
            { "Sid": "BadgateAccessLogs", "Effect": "Allow", "Action": [OBJECTS], "Resource": [LOG_OBJECTS, EDGE_OBJECTS] },
            { "Sid": "BadgateOwnQueries", "Effect": "Allow", "Action": ENDING, "Resource": "*" },
            { "Sid": "BadgateHostQuestions", "Effect": "Allow", "Action": [RUN], "Resource": RUN_WHERE },
            { "Sid": "BadgateContainerQuestions", "Effect": "Allow", "Action": [INSIDE], "Resource": INSIDE_WHERE },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_exactly_the_table() {
        let policy = iam_policy();
        let statements = policy["Statement"].as_array().unwrap();
        let mut said: Vec<&str> = statements
            .iter()
            .flat_map(|s| s["Action"].as_array().unwrap())
            .map(|a| a.as_str().unwrap())
            .collect();
        let mut table: Vec<&str> = ALL.iter().filter_map(|op| op.action).collect();
        table.sort_unstable();
        table.dedup();
        said.sort_unstable();
        assert_eq!(said, table);
        assert_eq!(statements.len(), 5);
        let reads: Vec<&str> =
            statements[0]["Action"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(!reads.iter().any(|a| a.contains(":Stop")), "what ends something stands apart");
        assert_ne!(statements[3]["Resource"], "*", "commands run by one document only");
        assert_ne!(statements[4]["Resource"], "*", "containers are asked as tasks of clusters only");
        assert_ne!(statements[1]["Resource"], "*", "objects are read in one folder only");
    }

    #[test]
    fn every_row_is_a_read_and_names_itself() {
        let reads = [
            "Describe",
            "List",
            "Get",
            "BatchGetDeployment",
            "Filter",
            "Lookup",
            "StartLiveTail",
            "StartQuery",
        ];
        for op in ALL {
            // The guard reads the script of the one, and knows whose queries the others end.
            let guarded = matches!(
                op.id,
                "ssm:SendCommand" | "ecs:ExecuteCommand" | "logs:StopQuery" | "athena:StopQueryExecution"
            );
            assert!(guarded || reads.iter().any(|r| op.name.starts_with(r)), "{} is no read", op.id);
            assert_eq!(op.id, format!("{}:{}", op.service, op.name));
            if let Some(action) = op.action {
                // S3 names the right to list after the bucket.
                let name = match op.service {
                    _ if op.name == "ListObjectsV2" => "ListBucket",
                    // API Gateway's actions are the verbs of HTTP.
                    "apigateway" | "apigatewayv2" => "GET",
                    _ => op.name,
                };
                assert_eq!(action.split_once(':').map(|a| a.1), Some(name));
            }
            assert!(!NEVER.contains(&op.name));
            assert!(std::ptr::eq(find(op.sdk_service, op.name).unwrap(), *op));
        }
    }

    #[test]
    fn a_statement_is_a_read_when_it_is_one_select() {
        let body = |sql: &str| json!({ "QueryString": sql }).to_string();
        for (sql, change) in [
            ("SELECT 1", false),
            ("  select * from t where a = 'CREATE'", false),
            ("CREATE EXTERNAL TABLE t (a string)", true),
            ("SELECT 1; DROP TABLE t", true),
            ("SELECT 1 -- x", true),
            ("UNLOAD (SELECT 1) TO 's3://x'", true),
            ("INSERT INTO t SELECT 1", true),
            ("SELECTED", true),
            ("", true),
        ] {
            assert_eq!(changes("Athena", "StartQueryExecution", body(sql).as_bytes()), change, "{sql}");
        }
        assert!(changes("Athena", "StartQueryExecution", b"not json"));
        assert!(!changes("Athena", "GetQueryExecution", b"{}"));
    }

    #[test]
    fn what_is_no_read_needs_leave_and_secrets_never_get_it() {
        let table = [
            ("EC2", "DescribeInstances", false, true),
            ("EC2", "TerminateInstances", false, false),
            ("EC2", "TerminateInstances", true, true),
            ("Secrets Manager", "GetSecretValue", false, false),
            ("Secrets Manager", "GetSecretValue", true, false),
            ("SSM", "GetParameter", true, false),
            ("STS", "AssumeRole", true, false),
            ("ECS", "DescribeInstances", false, false),
            ("EC2", "describeinstances", false, false),
            ("", "", false, false),
        ];
        for (service, name, allow, want) in table {
            assert_eq!(may_sign(service, name, allow), want, "{service}:{name} allow={allow}");
        }
    }
}
