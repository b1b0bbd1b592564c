// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <system_error>
#include <thread>

#include "lib/classify/fate_rule.h"
#include "lib/import/output.h"
#include "lib/sets/explain.h"
#include "lib/sets/ipset.h"
#include "lib/sets/reader.h"

namespace synward {
namespace {

std::string beside(const PlannedSet& set) {
    return set.name + "-new";
}

SetHeader header_of(const PlannedSet& set, const std::string& name) {
    SetHeader header;
    header.name = name;
    header.type = set_kind_type(set.kind);
    header.kind = set.kind;
    header.family = set.family;
    header.elements = static_cast<std::uint32_t>(set.elements());
    header.most = header.elements;
    return header;
}

class Applier {
  public:
    using Clock = std::chrono::steady_clock;

    Applier(const Plan& plan, Ipset& ipset, const Fates& fates, Clock::duration patience)
        : plan_(plan), ipset_(ipset), fates_(fates), patience_(patience) {}

    Result<Applied> run(const std::vector<SetHeader>& there, const std::string& name) {
        if (auto done = look(there, name); !done) return tl::unexpected(done.error());
        const auto rule = find_fate_rule(fates_);
        if (!rule) return tl::unexpected(rule.error());
        auto done = fill();
        // The rule may be refused for many reasons, an exchange for one.
        if (done) done = make_rule(rule->state == RuleState::absent);
        if (done) done = exchange();
        if (!done) {
            Error error = std::move(done.error());
            error.message += take_back();
            return tl::unexpected(std::move(error));
        }
        // The old entries.
        wait_from_now();
        for (const std::string& set : applied_.replaced)
            if (!unhurried("destroy " + set + "-new")) applied_.left.push_back(set + "-new");
        return std::move(applied_);
    }

  private:
    void wait_from_now() { until_ = Clock::now() + patience_; }

    // Once more while somebody reads the set.
    Result<void> unhurried(const std::string& command) {
        const std::string busy = std::generic_category().message(EBUSY);
        while (true) {
            const auto done = ipset_.run(command);
            if (done) return {};
            const std::string& text = done.error().message;
            const bool again = text.find(busy) != text.npos || text.find("in use by") != text.npos;
            if (!again || Clock::now() >= until_) return tl::unexpected(done.error());
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    Result<void> look(const std::vector<SetHeader>& there, const std::string& name) {
        for (const SetHeader& header : there) {
            const auto planned = std::find_if(plan_.sets.begin(), plan_.sets.end(),
                                              [&](const PlannedSet& set) { return set.name == header.name; });
            if (planned != plan_.sets.end()) {
                if (header.kind != planned->kind || header.family != planned->family)
                    return fail(
                        ErrorCode::busy,
                        fmt::format("the set {} is there and is {}, not {}: destroy it, or choose another "
                                    "--name",
                                    header.name, header.type, set_kind_type(planned->kind)));
                applied_.replaced.push_back(header.name);
            } else if (header.name.size() > name.size() + 2 && header.name.starts_with(name) &&
                       (header.name[name.size()] == '4' || header.name[name.size()] == '6') &&
                       header.name[name.size() + 1] == '-' &&
                       std::isdigit(static_cast<unsigned char>(header.name.back()))) {
                applied_.unused.push_back(header.name);
            }
        }
        return {};
    }

    Result<void> fill() {
        for (const PlannedSet& set : plan_.sets) {
            bool created = false;
            const auto done = each_command(set, beside(set), [&](const std::string& command) -> Result<void> {
                if (const auto ran = ipset_.run(command); !ran)
                    return tl::unexpected(explain(ran.error(), header_of(set, beside(set))));
                if (!created) filled_++;
                created = true;
                return {};
            });
            if (!done) return done;
        }
        return {};
    }

    [[nodiscard]] bool was_there(const PlannedSet& set) const {
        return std::find(applied_.replaced.begin(), applied_.replaced.end(), set.name) !=
               applied_.replaced.end();
    }

    Result<void> make_rule(bool was_absent) {
        auto done = install_fate_rule(fates_);
        rule_is_new_ = done && was_absent;
        return done;
    }

    Result<void> exchange() {
        wait_from_now();
        for (const PlannedSet& set : plan_.sets) {
            const auto done =
                unhurried(fmt::format("{} {} {}", was_there(set) ? "swap" : "rename", beside(set), set.name));
            if (!done) return tl::unexpected(explain(done.error(), header_of(set, set.name)));
            exchanged_++;
        }
        return {};
    }

    // Returns what could not be taken back, to be added to the error.
    std::string take_back() {
        std::string left;
        wait_from_now();
        for (std::size_t i = 0; i < filled_; i++) {
            const PlannedSet& set = plan_.sets[i];
            if (i < exchanged_ && !put_back(set, left)) continue;
            if (!unhurried("destroy " + beside(set)))
                left += fmt::format("; the set {0} is left over: ipset destroy {0}", beside(set));
        }
        if (rule_is_new_)
            if (const auto removed = remove_fate_rule(); !removed) left += "; " + removed.error().message;
        return left;
    }

    // Whether what is beside the set holds our entries again.
    bool put_back(const PlannedSet& set, std::string& left) {
        if (was_there(set)) {
            const auto swapped = unhurried(fmt::format("swap {} {}", set.name, beside(set)));
            if (!swapped)
                left += fmt::format(
                    "; the old entries of the set {0} could not be put back and are in {1}: ipset swap {1} "
                    "{0} ({2})",
                    set.name, beside(set), swapped.error().message);
            return swapped.has_value();
        }
        const auto renamed = unhurried(fmt::format("rename {} {}", set.name, beside(set)));
        if (renamed) return true;
        // Somebody has bound it already. Without entries it does nothing, like a set that is not there.
        (void)ipset_.run("flush " + set.name);
        left += fmt::format("; the set {} is left over, and empty: {}", set.name, renamed.error().message);
        return false;
    }

    const Plan& plan_;
    Ipset& ipset_;
    const Fates& fates_;
    const Clock::duration patience_;
    Clock::time_point until_;
    bool rule_is_new_ = false;
    Applied applied_;
    std::size_t filled_ = 0;     // sets that were made beside the others
    std::size_t exchanged_ = 0;  // of them, in their place
};

}  // namespace

Result<Applied> apply_plan(const Plan& plan, const std::string& name, const Fates& fates,
                           std::chrono::milliseconds patience) {
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    const auto there = reader->headers();
    if (!there) return tl::unexpected(there.error());
    auto ipset = Ipset::create();
    if (!ipset) return tl::unexpected(ipset.error());
    return Applier(plan, *ipset, fates, patience).run(*there, name);
}

}  // namespace synward
