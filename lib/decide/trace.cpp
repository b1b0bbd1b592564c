// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>

#include "lib/decide/prefix.h"
#include "lib/printable.h"
#include "lib/reasons.h"

namespace synward {
namespace {

// Bits of TracedDecision::actions: the tickets of each doubt, pass and drop, then these two.
constexpr unsigned deny_bit = 2 * SW_DOUBT_COUNT;
constexpr unsigned report_bit = deny_bit + 1;
static_assert(report_bit < 16);

std::string action_word(unsigned bit) {
    if (bit == deny_bit) return "deny";
    if (bit == report_bit) return "report";
    return fmt::format("{}-{}", doubt_name(static_cast<sw_doubt>(bit / 2)), bit % 2 ? "drop" : "pass");
}

unsigned action_bit(const Action& action) {
    if (action.kind == Action::Kind::set) return deny_bit;
    if (action.kind == Action::Kind::report) return report_bit;
    return 2u * action.key.doubt + (action.ticket_action == SW_ACTION_DROP);
}

template <typename T>
std::optional<T> number(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) {
        base = 16;
        text.remove_prefix(2);
    }
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Cuts the first word off.
std::string_view word(std::string_view& rest) {
    const std::size_t begin = rest.find_first_not_of(" \t");
    if (begin == rest.npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(begin);
    const std::string_view found = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(found.size());
    return found;
}

std::optional<EventKind> parse_kind(std::string_view text) {
    for (unsigned i = 0; i <= static_cast<unsigned>(EventKind::other); i++)
        if (event_kind_name(static_cast<EventKind>(i)) == text) return static_cast<EventKind>(i);
    return std::nullopt;
}

// "192.0.2.1:80", "[2001:db8::1]:80"
std::optional<Address> parse_endpoint(std::string_view text, std::uint16_t& port) {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    const auto digits = number<std::uint16_t>(text.substr(colon + 1));
    std::string_view host = text.substr(0, colon);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    const auto address = Address::parse(host);
    if (!digits || !address || brackets != (address->family == SW_IPV6)) return std::nullopt;
    port = *digits;
    return address;
}

std::optional<sw_shape> parse_shape(std::string_view text, sw_family family) {
    std::array<std::string_view, 4> part;
    for (std::size_t i = 0; i < part.size(); i++) {
        const std::size_t slash = text.find('/');
        if ((slash == text.npos) != (i + 1 == part.size())) return std::nullopt;
        part[i] = text.substr(0, slash);
        text.remove_prefix(slash == text.npos ? text.size() : slash + 1);
    }
    const auto layout = number<std::uint64_t>(part[0]);
    const auto header = number<std::uint8_t>(part[1]);
    const auto hops = number<std::uint8_t>(part[2]);
    const auto wscale =
        part[3] == "-" ? std::optional<std::uint8_t>(SW_SHAPE_NO_WSCALE) : number<std::uint8_t>(part[3]);
    if (!layout || !header || !hops || !wscale) return std::nullopt;
    sw_shape shape{};
    shape.layout = *layout;
    shape.header = *header;
    shape.hops = *hops;
    shape.wscale = *wscale;
    shape.family = static_cast<std::uint8_t>(family);
    return shape;
}

std::string endpoint(const RawAddress& raw, sw_family family, std::uint16_t port) {
    const std::string address = to_address(raw, family).to_string();
    return family == SW_IPV6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

bool is_zero(const sw_shape& s) {
    return !s.layout && !s.header && !s.hops && !s.wscale && !s.family;
}

std::optional<std::uint16_t> parse_actions(std::string_view text) {
    std::uint16_t actions = 0;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        unsigned bit = 0;
        while (bit <= report_bit && action_word(bit) != one) bit++;
        if (bit > report_bit) return std::nullopt;
        actions |= static_cast<std::uint16_t>(1u << bit);
    }
    return actions;
}

// "drop/unknown_flow"
bool parse_decided(std::string_view text, TracedDecision& decided) {
    const std::size_t slash = text.find('/');
    const std::string_view verdict = text.substr(0, slash);
    if (slash == text.npos || (verdict != "accept" && verdict != "drop")) return false;
    decided.verdict = verdict == "drop" ? SW_VERDICT_DROP : SW_VERDICT_ACCEPT;
    for (unsigned i = 0; i < static_cast<unsigned>(DecisionReason::count); i++) {
        decided.reason = static_cast<DecisionReason>(i);
        if (decision_reason_name(decided.reason) == text.substr(slash + 1)) return true;
    }
    return false;
}

bool parse_known(std::string_view text, TraceEntry& entry) {
    entry.flows_read = text != "old-source";
    if (text == "none")
        entry.known = KnownFlow::none;
    else if (text == "source" || text == "old-source")
        entry.known = KnownFlow::source;
    else if (text == "flow")
        entry.known = KnownFlow::flow;
    else
        return false;
    return true;
}

// Empty: nothing to say.
std::string_view known_word(const TraceEntry& entry) {
    if (event_doubt(entry.event.kind) != SW_DOUBT_STRAY) return {};
    switch (entry.known) {
        case KnownFlow::flow:
            return "flow";
        case KnownFlow::source:
            return entry.flows_read ? "source" : "old-source";
        case KnownFlow::none:
            break;
    }
    return entry.flows_read ? "none" : std::string_view();
}

template <typename T>
bool set(T& field, std::string_view text) {
    const auto value = number<T>(text);
    if (value) field = *value;
    return value.has_value();
}

// What is wrong; empty when nothing is.
std::string parse_key(std::string_view key, std::string_view value, TraceEntry& entry) {
    FlowEvent& event = entry.event;
    bool good = true;
    if (key == "reason") {
        const auto reason = find_reason(value);
        if (!reason)
            return fmt::format("no reason is called {}; `synward reasons` lists them", in_quotes(value));
        event.reason = *reason;
    } else if (key == "shape") {
        const auto shape = parse_shape(value, event.family);
        if (!shape) return fmt::format("{} is no shape; it is LAYOUT/HEADER/HOPS/WSCALE", in_quotes(value));
        event.shape = *shape;
    } else if (key == "flags") {
        good = set(event.tcp_flags, value);
    } else if (key == "ttl") {
        good = set(event.ttl, value);
    } else if (key == "window") {
        good = set(event.window, value);
    } else if (key == "length") {
        good = set(event.length, value);
    } else if (key == "protocol") {
        good = set(event.protocol, value);
    } else if (key == "interface") {
        good = set(event.ifindex, value);
    } else if (key == "mark") {
        good = set(event.mark, value);
    } else if (key == "chain") {
        good = set(entry.chain, value);
    } else if (key == "known") {
        if (!parse_known(value, entry))
            return fmt::format("known is {}; allowed are none, source, old-source, flow", in_quotes(value));
    } else if (key == "decided") {
        if (!entry.decided) entry.decided.emplace();
        if (!parse_decided(value, *entry.decided))
            return fmt::format("{} is no decision; it is VERDICT/REASON", in_quotes(value));
    } else if (key == "actions") {
        const auto actions = parse_actions(value);
        if (!actions) return fmt::format("actions are {}; they are like stray-drop,report", in_quotes(value));
        if (!entry.decided) return "actions stand behind what was decided";
        entry.decided->actions = *actions;
    } else {
        return fmt::format("unknown key {}", in_quotes(key));
    }
    return good ? std::string() : fmt::format("{} is no number that {} can have", in_quotes(value), key);
}

std::string parse_line(std::string_view line, TraceEntry& entry) {
    FlowEvent& event = entry.event;
    const std::string_view time = word(line);
    const auto microseconds = number<std::uint64_t>(time);
    if (!microseconds || *microseconds > UINT64_MAX / 1000)
        return fmt::format("{} is no time in microseconds", in_quotes(time));
    event.time = *microseconds * 1000;
    const std::string_view kind_word = word(line);
    const auto kind = parse_kind(kind_word);
    if (!kind) return fmt::format("no kind of event is called {}", in_quotes(kind_word));
    event.kind = *kind;
    const std::string_view from = word(line);
    const std::string_view to = word(line);
    const auto source = parse_endpoint(from, event.source_port);
    if (!source) return fmt::format("{} is no ADDRESS:PORT", in_quotes(from));
    const auto destination = parse_endpoint(to, event.destination_port);
    if (!destination) return fmt::format("{} is no ADDRESS:PORT", in_quotes(to));
    if (source->family != destination->family) return "source and destination are of different families";
    event.family = source->family;
    event.source = raw_address(*source);
    event.destination = raw_address(*destination);
    for (std::string_view pair = word(line); !pair.empty(); pair = word(line)) {
        const std::size_t equals = pair.find('=');
        if (equals == pair.npos) return fmt::format("{} is no KEY=VALUE", in_quotes(pair));
        if (std::string wrong = parse_key(pair.substr(0, equals), pair.substr(equals + 1), entry);
            !wrong.empty())
            return wrong;
    }
    return {};
}

// A trace, line by line.
class TraceLines {
  public:
    explicit TraceLines(std::string_view name) : name_(name) {}

    Result<void> add(std::string_view line) {
        number_++;
        if (line.size() > trace_line_most)
            return wrong(fmt::format("longer than the {} bytes that a line may have", trace_line_most));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (number_ == 1) {
            if (line == trace_header) return {};
            return wrong(fmt::format("a trace begins with the line '{}'", trace_header));
        }
        if (line.empty() || line.front() == '#') return {};
        if (entries_.size() == trace_events_most)
            return wrong(fmt::format("more than {} events", trace_events_most));
        TraceEntry entry;
        if (const std::string what = parse_line(line, entry); !what.empty()) return wrong(what);
        std::uint64_t& before = last_[entry.chain];
        if (entry.event.time < before) return wrong("time goes backwards");
        before = entry.event.time;
        entries_.push_back(entry);
        return {};
    }

    Result<std::vector<TraceEntry>> finish() {
        if (!number_) return wrong(fmt::format("empty; a trace begins with the line '{}'", trace_header));
        // Of two chains the daemon writes what each has, not what came first.
        std::stable_sort(entries_.begin(), entries_.end(), [](const TraceEntry& a, const TraceEntry& b) {
            return a.event.time < b.event.time;
        });
        for (std::size_t i = 0; i < entries_.size(); i++) entries_[i].event.id = i + 1;
        return std::move(entries_);
    }

  private:
    [[nodiscard]] tl::unexpected<Error> wrong(const std::string& what) const {
        return fail(ErrorCode::config, fmt::format("{}:{}: {}", name_, number_, what));
    }

    std::string_view name_;
    std::size_t number_ = 0;
    std::vector<TraceEntry> entries_;
    std::map<std::uint16_t, std::uint64_t> last_;  // time of each chain
};

}  // namespace

TracedDecision::TracedDecision(const Decision& decision)
    : verdict(decision.verdict.kind), reason(decision.reason) {
    for (const Action& action : decision.wanted_actions())
        actions |= static_cast<std::uint16_t>(1u << action_bit(action));
}

std::string traced_actions(std::uint16_t actions) {
    std::string words;
    for (unsigned bit = 0; bit <= report_bit; bit++)
        if (actions >> bit & 1) words += (words.empty() ? "" : ",") + action_word(bit);
    return words;
}

TraceEntry trace_entry(const FlowEvent& event, std::uint64_t now, const Decision& decision, bool flows_read) {
    TraceEntry entry{.event = event, .known = decision.known, .flows_read = flows_read};
    entry.event.time = now;
    if (decision.reason != DecisionReason::noted) entry.decided.emplace(decision);
    return entry;
}

std::string trace_line(const FlowEvent& e) {
    std::string line = fmt::format("{} {} {} {}", e.time / 1000, event_kind_name(e.kind),
                                   endpoint(e.source, e.family, e.source_port),
                                   endpoint(e.destination, e.family, e.destination_port));
    if (e.reason && e.reason < SW_REASON_COUNT) line += fmt::format(" reason={}", reason_name(e.reason));
    if (e.tcp_flags) line += fmt::format(" flags={:#04x}", e.tcp_flags);
    if (e.ttl) line += fmt::format(" ttl={}", e.ttl);
    if (e.window) line += fmt::format(" window={}", e.window);
    if (e.length) line += fmt::format(" length={}", e.length);
    if (e.protocol) line += fmt::format(" protocol={}", e.protocol);
    if (e.ifindex) line += fmt::format(" interface={}", e.ifindex);
    if (e.mark) line += fmt::format(" mark={:#x}", e.mark);
    if (!is_zero(e.shape)) {
        line += fmt::format(" shape={:#x}/{}/{}/", e.shape.layout, e.shape.header, e.shape.hops);
        line += e.shape.wscale == SW_SHAPE_NO_WSCALE ? "-" : std::to_string(e.shape.wscale);
    }
    return line;
}

std::string trace_line(const TraceEntry& entry) {
    std::string line = trace_line(entry.event);
    if (entry.chain) line += fmt::format(" chain={}", entry.chain);
    if (const auto known = known_word(entry); !known.empty()) line += fmt::format(" known={}", known);
    if (!entry.decided) return line;
    line += fmt::format(" decided={}/{}", entry.decided->verdict == SW_VERDICT_DROP ? "drop" : "accept",
                        decision_reason_name(entry.decided->reason));
    if (entry.decided->actions) line += " actions=" + traced_actions(entry.decided->actions);
    return line;
}

Result<std::vector<TraceEntry>> parse_recording(std::string_view text, std::string_view name) {
    TraceLines lines(name);
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (auto done = lines.add(line); !done) return tl::unexpected(done.error());
    }
    return lines.finish();
}

Result<std::vector<TraceEntry>> read_recording(std::FILE* file, std::string_view name) {
    TraceLines lines(name);
    // What is longer is refused, and need not be there as a whole.
    std::string line;
    int byte = 0;
    while (byte != EOF) {
        line.clear();
        while ((byte = getc_unlocked(file)) != EOF && byte != '\n' && line.size() <= trace_line_most)
            line += static_cast<char>(byte);
        if (std::ferror(file)) return fail_errno(errno, fmt::format("cannot read '{}'", name));
        if (byte == EOF && line.empty()) break;
        if (auto done = lines.add(line); !done) return tl::unexpected(done.error());
    }
    return lines.finish();
}

Result<std::vector<FlowEvent>> parse_trace(std::string_view text, std::string_view name) {
    const auto entries = parse_recording(text, name);
    if (!entries) return tl::unexpected(entries.error());
    std::vector<FlowEvent> events;
    events.reserve(entries->size());
    for (const TraceEntry& entry : *entries) events.push_back(entry.event);
    return events;
}

}  // namespace synward
