// An entry of the log for tests of what is made of entries.
import type { LogEntry } from '@/api/logs'

export function testEntry(more: Partial<LogEntry> = {}): LogEntry {
  return {
    id: 'e1',
    timestamp: '2026-11-26T12:00:00Z',
    group_id: 1,
    group_name: 'main',
    parent_group_id: 0,
    parent_group_name: '',
    key_value: 'sk-a****9f0e',
    key_hash: 'h1',
    model: 'gpt-4o',
    is_success: true,
    source_ip: '10.0.0.1',
    status_code: 200,
    request_path: '/proxy/main/v1/chat/completions',
    duration_ms: 100,
    error_message: '',
    user_agent: '',
    request_type: 'final',
    upstream_addr: 'https://api.example.com/v1/chat/completions',
    is_stream: false,
    request_body: '',
    has_request_body: false,
    sent_model: null,
    upstream_request_id: null,
    key_id: 1,
    request_id: 'r1',
    attempt: 1,
    first_byte_ms: 60,
    overhead_us: 200,
    verdict: 'success',
    client_key: 'web',
    ...more,
  }
}
