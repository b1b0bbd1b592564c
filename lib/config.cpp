// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "lib/abi/genetlink.h"
#include "lib/config_reader.h"
#include "lib/config_services.h"
#include "lib/printable.h"
#include "lib/sets/ipset.h"
#include "lib/toml_guard.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// The kernel refuses longer ones (IFNAMSIZ).
constexpr std::size_t longest_interface = 15;
// sun_path with its NUL.
constexpr std::size_t longest_socket = 107;

std::string no_interface(std::string_view what) {
    return fmt::format("{}; name the interfaces to protect, as interfaces = [\"eth0\"]", what);
}

class Parser {
  public:
    explicit Parser(std::string_view name) : read_(name) {}

    Result<Config> parse(const toml::table& root) {
        // [defaults] first, wherever it stands: services start from it.
        if (const auto* node = root.get("defaults"))
            if (const auto* table = subtable(*node, "defaults")) services_.defaults(*table);
        read_.table(root, "",
                    {{"daemon", [&](const toml::node& n) { with(n, "daemon", &Parser::daemon); }},
                     {"defaults", [](const toml::node&) {}},
                     {"limits", [&](const toml::node& n) { with(n, "limits", &Parser::limits); }},
                     {"escalation", [&](const toml::node& n) { with(n, "escalation", &Parser::escalation); }},
                     {"decide", [&](const toml::node& n) { with(n, "decide", &Parser::decide); }},
                     {"sources", [&](const toml::node& n) { with(n, "sources", &Parser::sources); }},
                     {"classify", [&](const toml::node& n) { with(n, "classify", &Parser::classify); }},
                     {"fate", [&](const toml::node& n) { fates(n); }},
                     {"metrics", [&](const toml::node& n) { with(n, "metrics", &Parser::metrics); }},
                     {"service", [&](const toml::node& n) { services_.services(n); }}});
        if (!read_.ok()) return fail(ErrorCode::config, read_.text());
        return std::move(config_);
    }

  private:
    const toml::table* subtable(const toml::node& node, std::string_view name) {
        if (const auto* table = node.as_table()) return table;
        read_.mistake(node, name, fmt::format("this is a section; write [{}]", name));
        return nullptr;
    }

    void with(const toml::node& node, std::string_view name, void (Parser::*reader)(const toml::table&)) {
        if (const auto* table = subtable(node, name)) (this->*reader)(*table);
    }

    void daemon(const toml::table& table) {
        DaemonConfig& d = config_.daemon;
        if (const auto& begin = table.source().begin; begin.line) {
            d.line = begin.line;
            d.column = begin.column;
        }
        read_.table(
            table, "daemon",
            {{"interfaces", [&](const toml::node& n) { interfaces(n); }},
             {"log_level",
              [&](const toml::node& n) {
                  static const ConfigReader::Words levels{"trace", "debug", "info", "warn", "error"};
                  if (const auto i = read_.choice(n, "daemon.log_level", levels)) d.log_level = levels[*i];
              }},
             {"control", [&](const toml::node& n) { control(n); }},
             {"object", [&](const toml::node& n) { take(d.object, read_.string(n, "daemon.object")); }},
             {"key_rotation",
              [&](const toml::node& n) {
                  // Below five minutes the key to be replaced may still have cookies out.
                  take(d.key_rotation, read_.duration(n, "daemon.key_rotation", 5min, 720h));
              }},
             {"learn_interval",
              [&](const toml::node& n) {
                  take(d.learn_interval, read_.duration(n, "daemon.learn_interval", 1s, 24h));
              }},
             {"services",
              [&](const toml::node& n) {
                  static const ConfigReader::Words words{"configured", "listening"};
                  if (const auto i = read_.choice(n, "daemon.services", words)) d.listening = *i == 1;
              }},
             {"generic", [&](const toml::node& n) { take(d.generic, read_.boolean(n, "daemon.generic")); }},
             {"gateway", [&](const toml::node& n) { d.gateway = read_.boolean(n, "daemon.gateway"); }}});
    }

    void interfaces(const toml::node& node) {
        if (const auto* list = node.as_array(); list && list->empty())
            return read_.mistake(node, "daemon.interfaces", no_interface("the list is empty"));
        read_.each(node, "daemon.interfaces", [&](const toml::node& element) {
            const auto name = read_.string(element, "daemon.interfaces");
            if (!name) return;
            const bool fits = !name->empty() && name->size() <= longest_interface && *name != "." &&
                              *name != ".." && name->find_first_of("/: \t\n") == std::string::npos &&
                              name->find('\0') == std::string::npos;
            auto& list = config_.daemon.interfaces;
            if (!fits)
                read_.mistake(
                    element, "daemon.interfaces",
                    fmt::format("no interface can have this name; 1 to {} characters without slash, "
                                "colon and space are allowed",
                                longest_interface));
            else if (std::find(list.begin(), list.end(), *name) != list.end())
                read_.mistake(element, "daemon.interfaces",
                              fmt::format("{} is listed twice", in_quotes(*name)));
            else
                list.push_back(*name);
        });
    }

    void control(const toml::node& node) {
        const auto path = read_.string(node, "daemon.control");
        if (!path) return;
        if ((*path)[0] != '/' || path->size() > longest_socket || path->find('\0') != std::string::npos)
            read_.mistake(node, "daemon.control",
                          fmt::format("the path of a socket is absolute and has at most {} characters",
                                      longest_socket));
        else
            config_.daemon.control = *path;
    }

    void limits(const toml::table& table) {
        LimitsConfig& l = config_.limits;
        auto number = [&](std::uint32_t& target, const char* key, std::int64_t least, std::int64_t most) {
            return [this, &target, key, least, most](const toml::node& n) {
                take(target, read_.integer(n, key, least, most));
            };
        };
        read_.table(table, "limits",
                    {{"reply_rate", number(l.reply_rate, "limits.reply_rate", 0, UINT32_MAX)},
                     {"prefix_rate", number(l.prefix_rate, "limits.prefix_rate", 0, UINT32_MAX)},
                     {"flows", number(l.flows, "limits.flows", 1024, 1 << 24)},
                     {"sources", number(l.sources, "limits.sources", 1024, 1 << 23)}});
    }

    void escalation(const toml::table& table) {
        EscalationConfig& e = config_.escalation;
        read_.table(table, "escalation",
                    {{"transport",
                      [&](const toml::node& n) {
                          static const ConfigReader::Words words{"auto", "ring", "nfqueue", "none"};
                          if (const auto i = read_.choice(n, "escalation.transport", words))
                              set_transport(*i);
                      }},
                     {"queues",
                      [&](const toml::node& n) {
                          take(e.queues, read_.integer(n, "escalation.queues", 1, SW_RINGS_MAX));
                      }},
                     {"queue",
                      [&](const toml::node& n) {
                          take(e.queue, read_.integer(n, "escalation.queue", 0, 65535 - SW_RINGS_MAX));
                      }},
                     {"slots", [&](const toml::node& n) { slots(n); }},
                     {"deadline",
                      [&](const toml::node& n) {
                          take(e.deadline, read_.duration(n, "escalation.deadline", 1ms, 10s));
                      }},
                     {"fail", word(e.fail, "escalation.fail", {"accept", "drop"})},
                     {"mode", word(e.mode, "escalation.mode", {"hold", "copy-drop"})},
                     {"fanout", word(e.fanout, "escalation.fanout", {"cpu", "flow"})}});
    }

    // One of an enum, by the names of its values in their order.
    template <typename Enum>
    std::function<void(const toml::node&)> word(Enum& target, const char* key, ConfigReader::Words words) {
        return [this, &target, key, words = std::move(words)](const toml::node& n) {
            if (const auto i = read_.choice(n, key, words)) target = static_cast<Enum>(*i);
        };
    }

    void set_transport(std::size_t word) {
        EscalationConfig& e = config_.escalation;
        e.enabled = word != 3;
        if (e.enabled) e.transport = static_cast<TransportChoice>(word);
    }

    void slots(const toml::node& node) {
        const auto slots = read_.integer(node, "escalation.slots", SW_RING_SLOTS_MIN, SW_RING_SLOTS_MAX);
        if (slots && (*slots & (*slots - 1)))
            read_.mistake(node, "escalation.slots",
                          fmt::format("{} is no power of two; one like 1024 or 4096 is allowed", *slots));
        else
            take(config_.escalation.slots, slots);
    }

    void decide(const toml::table& table) {
        DecideConfig& d = config_.decide;
        auto time = [this](DecideConfig::ms& target, const char* key, DecideConfig::ms least = 100ms) {
            return [this, &target, key, least](const toml::node& n) {
                take(target, read_.duration(n, key, least, 24h));
            };
        };
        // The burst keeps its proportion to the rate.
        auto rate = [this](Limit& target, const char* key) {
            return [this, &target, key](const toml::node& n) {
                const auto value = read_.integer(n, key, 1, 1'000'000);
                if (!value) return;
                target.burst = static_cast<std::uint32_t>(*value * target.burst / target.per_second);
                target.per_second = static_cast<std::uint32_t>(*value);
            };
        };
        auto opinion = [this](Opinion& target, const char* key) {
            return word(target, key, {"default", "accept", "drop"});
        };
        auto mark = [this](std::uint32_t& target, const char* key) {
            return [this, &target, key](const toml::node& n) {
                take(target, read_.integer(n, key, 0, UINT32_MAX));
            };
        };
        auto set = [this](std::string& target, const char* key) {
            return [this, &target, key](const toml::node& n) { take(target, set_name(n, key)); };
        };
        read_.table(
            table, "decide",
            {{"dry_run", [&](const toml::node& n) { take(d.dry_run, read_.boolean(n, "decide.dry_run")); }},
             {"proven_window", time(d.proven_window, "decide.proven_window", 1s)},
             {"proven_rate", rate(d.proven, "decide.proven_rate")},
             {"stray_ticket", time(d.stray_drop, "decide.stray_ticket")},
             {"shape_ticket", time(d.shape_drop, "decide.shape_ticket")},
             {"shape_rate", rate(d.shape_unknown, "decide.shape_rate")},
             {"shape_normal",
              [&](const toml::node& n) {
                  take(d.shape_normal, read_.integer(n, "decide.shape_normal", 1, 1'000'000));
              }},
             {"host_rate", rate(d.host_rate, "decide.host_rate")},
             {"net_rate", rate(d.net_rate, "decide.net_rate")},
             {"rate_ticket", time(d.rate_drop, "decide.rate_ticket")},
             {"fragment", opinion(d.fragment, "decide.fragment")},
             {"malformed", opinion(d.malformed, "decide.malformed")},
             {"accept_mark", mark(d.accept_mark, "decide.accept_mark")},
             {"accept_mask", mark(d.accept_mask, "decide.accept_mask")},
             {"connection_rate", rate(d.connections, "decide.connection_rate")},
             {"deny", time(d.deny, "decide.deny", 1s)},
             {"deny_set4", set(d.deny_set[SW_IPV4], "decide.deny_set4")},
             {"deny_set6", set(d.deny_set[SW_IPV6], "decide.deny_set6")},
             {"record", [&](const toml::node& n) { record_file(n); }},
             {"record_limit", [&](const toml::node& n) {
                  if (const auto mebibytes = read_.integer(n, "decide.record_limit", 1, 1024))
                      config_.record.limit = static_cast<std::uint64_t>(*mebibytes) * RecordConfig::mebibyte;
              }}});
        if (const auto sane = check(d); !sane && read_.ok())
            read_.mistake(table, "decide", sane.error().message);
    }

    void record_file(const toml::node& node) {
        const auto path = read_.string(node, "decide.record");
        if (!path) return;
        if (path->empty() || (path->front() == '/' && path->back() != '/' && path->find('\0') == path->npos))
            config_.record.file = *path;
        else
            read_.mistake(node, "decide.record",
                          fmt::format("{} is no file; its whole path is wanted, from /", in_quotes(*path)));
    }

    std::optional<std::string> set_name(const toml::node& node, const char* key) {
        // IPSET_MAXNAMELEN with its NUL.
        constexpr std::size_t longest_set = 31;
        auto name = read_.string(node, key);
        if (!name || (name->size() <= longest_set && is_set_word(*name))) return name;
        read_.mistake(node, key,
                      fmt::format("no ipset can have this name; 1 to {} characters without space are allowed",
                                  longest_set));
        return std::nullopt;
    }

    void classify(const toml::table& table) {
        ClassifyConfig& c = config_.classify;
        c.enabled = true;
        read_.table(
            table, "classify",
            {{"sets", [&](const toml::node& n) { classify_sets(n); }},
             {"marker",
              [&](const toml::node& n) {
                  static const ConfigReader::Words words{"auto", "module", "mangle", "none"};
                  if (const auto i = read_.choice(n, "classify.marker", words))
                      c.marker = static_cast<Marker>(*i);
              }},
             {"rule",
              [&](const toml::node& n) {
                  static const ConfigReader::Words words{"restore", "report", "none"};
                  if (const auto i = read_.choice(n, "classify.rule", words))
                      c.rule = static_cast<RuleKeeping>(*i);
              }},
             {"remark", [&](const toml::node& n) { take(c.remark, read_.boolean(n, "classify.remark")); }},
             {"poll",
              [&](const toml::node& n) { take(c.poll, read_.duration(n, "classify.poll", 10ms, 1h)); }},
             {"reconcile", [&](const toml::node& n) {
                  take(c.reconcile, read_.duration(n, "classify.reconcile", 100ms, 24h));
              }}});
    }

    void classify_sets(const toml::node& node) {
        auto& sets = config_.classify.sets;
        sets.clear();
        read_.each(
            node, "classify.sets",
            [&](const toml::node& element) {
                auto name = set_name(element, "classify.sets");
                if (!name) return;
                if (std::find(sets.begin(), sets.end(), *name) != sets.end())
                    read_.mistake(element, "classify.sets",
                                  fmt::format("{} is listed twice", in_quotes(*name)));
                else if (sets.size() == SW_NL_SETS_MAX)
                    read_.mistake(
                        element, "classify.sets",
                        fmt::format("at most {} sets are allowed; a list:set can hold more", SW_NL_SETS_MAX));
                else
                    sets.push_back(std::move(*name));
            },
            true);
    }

    void fates(const toml::node& node) {
        const auto* list = node.as_array();
        if (!list || !list->is_array_of_tables())
            return read_.mistake(node, "fate", "fates are sections with two brackets; write [[fate]]");
        for (const toml::node& element : *list) fate(*element.as_table());
    }

    void fate(const toml::table& table) {
        Fate fate;
        read_.table(table, "fate",
                    {{"name", [&](const toml::node& n) { take(fate.name, read_.string(n, "fate.name")); }},
                     {"mark",
                      [&](const toml::node& n) {
                          take(fate.mark, read_.integer(n, "fate.mark", SW_MARK_FIRST, 255));
                      }},
                     {"verdict", [&](const toml::node& n) {
                          static const ConfigReader::Words words{"accept", "drop", "continue"};
                          if (const auto i = read_.choice(n, "fate.verdict", words))
                              fate.verdict = static_cast<FateVerdict>(*i);
                      }}});
        for (const char* key : {"name", "mark", "verdict"})
            if (!table.contains(key))
                return read_.mistake(table, fmt::format("fate.{}", key),
                                     "is missing; a fate has a name, a mark (0x10 to 0xff) and a verdict");
        Fates& fates = config_.classify.fates;
        if (!read_.ok() || fates.add(fate)) return;
        const Fate* same = fates.find(fate.name) ? fates.find(fate.name) : fates.find(fate.mark);
        read_.mistake(
            table, "fate",
            same ? fmt::format("'{}' (mark {:#x}) has this name or mark already; both are to be unique",
                               same->name, same->mark)
                 : fmt::format("no fit name; 1 to {} letters, digits, '-', '_' and '.' are allowed",
                               SW_NAME_LENGTH - 1));
    }

    void metrics(const toml::table& table) {
        read_.table(table, "metrics", {{"listen", [&](const toml::node& n) {
                                            const auto text = read_.string(n, "metrics.listen");
                                            if (!text) return;
                                            config_.metrics.listen = Endpoint::parse(*text);
                                            if (!config_.metrics.listen)
                                                read_.mistake(n, "metrics.listen",
                                                              fmt::format("{} is no address with a port; "
                                                                          "\"127.0.0.1:9478\" and "
                                                                          "\"[::1]:9478\" are",
                                                                          in_quotes(*text)));
                                        }}});
    }

    void sources(const toml::table& table) {
        auto list = [&](std::vector<Prefix>& target, const char* key) {
            return [this, &target, key](const toml::node& node) {
                read_.each(
                    node, key, [&](const toml::node& element) { source(element, key, target); }, true);
            };
        };
        read_.table(table, "sources",
                    {{"deny", list(config_.sources.deny, "sources.deny")},
                     {"allow", list(config_.sources.allow, "sources.allow")}});
    }

    void source(const toml::node& node, const char* key, std::vector<Prefix>& target) {
        const auto text = read_.string(node, key);
        if (!text) return;
        bool host_bits = false;
        const auto prefix = Prefix::parse(*text, &host_bits);
        if (!prefix) {
            read_.mistake(node, key,
                          host_bits
                              ? fmt::format("'{}' has bits set behind its length; set them to zero", *text)
                              : "no address and no prefix; \"192.0.2.1\", \"192.0.2.0/24\" and "
                                "\"2001:db8::/32\" are");
            return;
        }
        const auto [other, fresh] = seen_sources_.try_emplace(*prefix, key);
        if (fresh)
            target.push_back(*prefix);
        else
            read_.mistake(node, key, fmt::format("'{}' is already in {}", *text, other->second));
    }

    ConfigReader read_;
    Config config_;
    ServiceReader services_{read_, config_};
    std::map<Prefix, std::string> seen_sources_;
};

}  // namespace

bool Config::escalates() const {
    auto asks = [](const Settings& s) {
        return s.stray == SW_ACTION_ESCALATE || s.fragment == SW_ACTION_ESCALATE ||
               s.malformed == SW_ACTION_ESCALATE || s.odd_syn == SW_ACTION_ESCALATE;
    };
    if (!escalation.enabled) return false;
    // Those of [defaults] hold for packets whose port cannot be read.
    return defaults.fragment == SW_ACTION_ESCALATE || defaults.malformed == SW_ACTION_ESCALATE ||
           std::any_of(services.begin(), services.end(),
                       [&](const ServiceConfig& s) { return asks(s.settings); });
}

Result<Config> parse_config(std::string_view text, std::string_view name) {
    if (const auto flaw = toml_flaw(text))
        return fail(ErrorCode::config, fmt::format("{}:{}:{}: not TOML: {}", name, flaw->where.line,
                                                   flaw->where.column, flaw->what));
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const auto& at = parsed.error().source().begin;
        return fail(ErrorCode::config, fmt::format("{}:{}:{}: not TOML: {}", name, at.line, at.column,
                                                   printable(parsed.error().description(), 300)));
    }
    return Parser(name).parse(parsed.table());
}

Result<Config> load_config(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        return fail(ErrorCode::missing, fmt::format("the config file {} is a directory; name a file", path));
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail_errno(errno ? errno : EIO, fmt::format("cannot read the config file {}", path));
    std::ostringstream text;
    text << file.rdbuf();
    return parse_config(text.str(), path);
}

Result<void> check_interfaces(const Config& config, std::string_view name) {
    const DaemonConfig& daemon = config.daemon;
    if (!daemon.interfaces.empty()) return {};
    return fail(ErrorCode::config, fmt::format("{}:{}:{}: daemon.interfaces: {}", name, daemon.line,
                                               daemon.column, no_interface("is missing")));
}

Result<Config> load_daemon_config(const std::string& path) {
    auto config = load_config(path);
    if (!config) return config;
    if (auto named = check_interfaces(*config, path); !named) return tl::unexpected(named.error());
    return config;
}

}  // namespace synward
