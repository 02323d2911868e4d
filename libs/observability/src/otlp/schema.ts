import protobuf from 'protobufjs';

/** The messages of OTLP 1.x (opentelemetry-proto): names and numbers of the fields that are read. */
const schema = `
syntax = "proto3";
message ExportTraceServiceRequest { repeated ResourceSpans resourceSpans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scopeSpans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes traceId = 1;
  bytes spanId = 2;
  bytes parentSpanId = 4;
  string name = 5;
  int32 kind = 6;
  fixed64 startTimeUnixNano = 7;
  fixed64 endTimeUnixNano = 8;
  repeated KeyValue attributes = 9;
  repeated Event events = 11;
  repeated Link links = 13;
  Status status = 15;
}
message Event { fixed64 timeUnixNano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes traceId = 1; bytes spanId = 2; }
message Status { string message = 2; int32 code = 3; }
message ExportLogsServiceRequest { repeated ResourceLogs resourceLogs = 1; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scopeLogs = 2; }
message ScopeLogs { repeated LogRecord logRecords = 2; }
message LogRecord {
  fixed64 timeUnixNano = 1;
  int32 severityNumber = 2;
  string severityText = 3;
  AnyValue body = 5;
  repeated KeyValue attributes = 6;
  bytes traceId = 9;
  bytes spanId = 10;
  fixed64 observedTimeUnixNano = 11;
}
message ExportMetricsServiceRequest { repeated ResourceMetrics resourceMetrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scopeMetrics = 2; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric {
  string name = 1;
  string description = 2;
  string unit = 3;
  oneof data {
    Gauge gauge = 5;
    Sum sum = 7;
    Histogram histogram = 9;
    OtherData exponentialHistogram = 10;
    OtherData summary = 11;
  }
}
message Gauge { repeated NumberDataPoint dataPoints = 1; }
message Sum { repeated NumberDataPoint dataPoints = 1; int32 aggregationTemporality = 2; bool isMonotonic = 3; }
message Histogram { repeated HistogramDataPoint dataPoints = 1; int32 aggregationTemporality = 2; }
message OtherData { repeated OtherPoint dataPoints = 1; }
message OtherPoint {}
message NumberDataPoint {
  fixed64 timeUnixNano = 3;
  oneof value { double asDouble = 4; sfixed64 asInt = 6; }
  repeated Exemplar exemplars = 5;
  repeated KeyValue attributes = 7;
}
message HistogramDataPoint {
  fixed64 timeUnixNano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  repeated fixed64 bucketCounts = 6;
  repeated double explicitBounds = 7;
  repeated Exemplar exemplars = 8;
  repeated KeyValue attributes = 9;
}
message Exemplar {
  fixed64 timeUnixNano = 2;
  oneof value { double asDouble = 3; sfixed64 asInt = 6; }
  bytes spanId = 4;
  bytes traceId = 5;
}
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue {
  oneof value {
    string stringValue = 1;
    bool boolValue = 2;
    int64 intValue = 3;
    double doubleValue = 4;
    ArrayValue arrayValue = 5;
    KeyValueList kvlistValue = 6;
    bytes bytesValue = 7;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
`;

const { root } = protobuf.parse(schema, { keepCase: true });

export const TraceRequest = root.lookupType('ExportTraceServiceRequest');
export const MetricsRequest = root.lookupType('ExportMetricsServiceRequest');
export const LogsRequest = root.lookupType('ExportLogsServiceRequest');
